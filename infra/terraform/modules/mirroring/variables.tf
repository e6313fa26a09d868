variable "name" {
  description = "The environment's name, for instance dutchbook-production."
  type        = string
}

variable "account_id" {
  description = "The AWS account."
  type        = string
}

variable "mirrored" {
  description = "Topics that are copied into each region, by the region they go to; from topics.json."
  type = object({
    us = list(string)
    eu = list(string)
  })
}

variable "images" {
  description = "The tag of the image that runs, and what it is built for."
  type = object({
    tag          = string
    architecture = string
  })
}

variable "size" {
  description = "Fargate CPU units and memory in MiB of each MirrorMaker."
  type = object({
    cpu    = number
    memory = number
  })
}

variable "desired" {
  description = "How many run in each region: 1, or 0 to stop mirroring."
  type        = number

  validation {
    condition     = contains([0, 1], var.desired)
    error_message = "Two in one region would both copy."
  }
}

variable "regions" {
  description = "Both regions: network, cluster, where tasks run, the image's repository, and logs."
  type = object({
    us = object({
      region                 = string
      prefix                 = string
      vpc_id                 = string
      cidr                   = string
      mirror_cidr            = string
      mirror_subnet_ids      = list(string)
      mirror_route_table_ids = map(string)
      data_cidrs             = map(string)
      data_route_table_id    = string
      kafka                  = object({ arn = string, address = string, security_group_id = string })
      cluster                = object({ arn = string, name = string })
      repository             = object({ arn = string, url = string })
      https_egress           = map(object({ cidr = optional(string), security_group_id = optional(string), prefix_list_id = optional(string) }))
      log                    = object({ days = number, kms_key_arn = string })
    })
    eu = object({
      region                 = string
      prefix                 = string
      vpc_id                 = string
      cidr                   = string
      mirror_cidr            = string
      mirror_subnet_ids      = list(string)
      mirror_route_table_ids = map(string)
      data_cidrs             = map(string)
      data_route_table_id    = string
      kafka                  = object({ arn = string, address = string, security_group_id = string })
      cluster                = object({ arn = string, name = string })
      repository             = object({ arn = string, url = string })
      https_egress           = map(object({ cidr = optional(string), security_group_id = optional(string), prefix_list_id = optional(string) }))
      log                    = object({ days = number, kms_key_arn = string })
    })
  })

  validation {
    condition     = var.regions.us.cidr != var.regions.eu.cidr
    error_message = "The two networks are joined, so their addresses must differ."
  }
}
