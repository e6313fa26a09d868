variable "prefix" {
  description = "What everything of this region is called, for instance dutchbook-production-us."
  type        = string

  validation {
    condition     = length(var.prefix) <= 24
    error_message = "24 characters at most: role names have room for 64."
  }
}

variable "account_id" {
  description = "The AWS account."
  type        = string
}

variable "region" {
  description = "The AWS region."
  type        = string
}

variable "home" {
  description = "The region as the programs call it: us or eu."
  type        = string

  validation {
    condition     = contains(["us", "eu"], var.home)
    error_message = "us or eu."
  }
}

variable "images" {
  description = "The tag of the images that run, and what they are built for. Tags are never moved; latest is refused."
  type = object({
    tag          = string
    architecture = string
  })

  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$", var.images.tag)) && var.images.tag != "latest"
    error_message = "A tag that names one build for ever, such as a commit; not latest."
  }
}

variable "processes" {
  description = <<-E
    The processes of this region by name, from processes.json, with the sizes of this environment. `key` says which settings take
    which field of the venue's secret, `internet` that it speaks to a venue, `stores` which stores it writes.
  E
  type = map(object({
    command       = list(string)
    one_of_a_kind = bool
    internet      = bool
    stores        = list(string)
    venue         = optional(string)
    key           = optional(map(string), {})
    environment   = optional(map(string), {})
    kafka = object({
      read   = list(string)
      write  = list(string)
      groups = list(string)
    })
    cpu     = number
    memory  = number
    desired = number
    scaling = optional(object({ minimum = number, maximum = number, cpu_percent = number }))
  }))
}

variable "replication_factor" {
  description = "Copies of every topic that the one-shot task makes; from topics.json."
  type        = number
}

variable "kafka" {
  description = "The region's cluster: its ARN, its address as a setting says it, and its security group."
  type = object({
    arn               = string
    address           = string
    security_group_id = string
  })
}

variable "venue" {
  description = "The region's venue: its processes, and nobody else, are given its key."
  type        = string

  validation {
    condition     = contains(["kalshi", "polymarket"], var.venue)
    error_message = "kalshi or polymarket."
  }
}

variable "venue_secret" {
  description = "The venue's secret. Without a value in it yet (`in_use` false) no process asks for it: ECS would not start one that does."
  type = object({
    arn     = string
    key_arn = string
    in_use  = bool
  })
}

variable "stores" {
  description = "The stores of this region by name: where they listen, their settings, which secret each of their secret settings comes from, and what is needed to read it."
  type = map(object({
    security_group_id = string
    port              = number
    environment       = map(string)
    secrets           = map(string)
    secret_arns       = list(string)
    key_arns          = list(string)
  }))
  default = {}
}

variable "network" {
  description = "The VPC, the subnets for tasks, and where HTTPS may go without internet."
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
    https_egress = map(object({
      cidr              = optional(string)
      security_group_id = optional(string)
      prefix_list_id    = optional(string)
    }))
  })
}

variable "log" {
  description = "How long logs are kept, and the key for them, the images and the tasks' own storage."
  type = object({
    days        = number
    kms_key_arn = string
  })
}

variable "deletable" {
  description = "Whether repositories may be destroyed with the images in them."
  type        = bool
}
