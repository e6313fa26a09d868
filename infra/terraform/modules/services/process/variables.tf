variable "prefix" {
  description = "What everything of this region is called, for instance dutchbook-production-us."
  type        = string
}

variable "name" {
  description = "The process, for instance producer-kalshi."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "Lower-case letters, digits and hyphens, 31 at most: role names have room for 64."
  }
}

variable "region" {
  description = "The AWS region."
  type        = string
}

variable "account_id" {
  description = "The AWS account."
  type        = string
}

variable "definition" {
  description = "What runs: image, command (the image's entry point is the bare command), settings, secrets by the variable that takes them, Fargate CPU units and memory in MiB, and what it is: a service, or a task that is started by hand and ends."
  type = object({
    image        = string
    architecture = string
    command      = list(string)
    cpu          = number
    memory       = number
    environment  = map(string)
    secrets      = map(string)
    service      = bool
  })

  validation {
    condition     = contains(["X86_64", "ARM64"], var.definition.architecture)
    error_message = "X86_64 or ARM64."
  }

  validation {
    condition     = alltrue([for name in concat(keys(var.definition.environment), keys(var.definition.secrets)) : startswith(name, "DUTCHBOOK_")])
    error_message = "Settings begin with DUTCHBOOK_."
  }

  validation {
    condition     = length(setintersection(keys(var.definition.environment), keys(var.definition.secrets))) == 0
    error_message = "A setting is either plain or a secret."
  }
}

variable "count_of" {
  description = "How many run. One of a kind: the old one ends before the new one starts, because two would publish twice."
  type = object({
    desired       = number
    one_of_a_kind = bool
    scaling       = optional(object({ minimum = number, maximum = number, cpu_percent = number }))
  })

  validation {
    condition     = !var.count_of.one_of_a_kind || (var.count_of.desired <= 1 && var.count_of.scaling == null)
    error_message = "Of what is one of a kind at most one may run, and it does not scale."
  }

  validation {
    condition     = var.count_of.scaling == null ? true : var.count_of.scaling.minimum >= 1 && var.count_of.scaling.maximum >= var.count_of.scaling.minimum
    error_message = "Scaling goes from at least 1 to at least that."
  }
}

variable "kafka" {
  description = "What it may do, by cluster: topics it reads, writes, makes (with * for all) and whose configuration it looks up, and its consumer groups."
  type = list(object({
    cluster_arn = string
    read        = optional(list(string), [])
    write       = optional(list(string), [])
    create      = optional(list(string), [])
    describe    = optional(list(string), [])
    groups      = optional(list(string), [])
  }))
}

variable "readable_secrets" {
  description = "Secrets that its start may read, and the keys to decrypt them with."
  type = object({
    secret_arns = list(string)
    key_arns    = list(string)
  })
}

variable "repository_arn" {
  description = "The repository of its image."
  type        = string
}

variable "cluster" {
  description = "The ECS cluster: its ARN and name."
  type = object({
    arn  = string
    name = string
  })
}

variable "network" {
  description = "Where it runs, and where its connections may go: to a port of an address range, a security group or a prefix list."
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
    egress = map(object({
      port              = number
      cidr              = optional(string)
      security_group_id = optional(string)
      prefix_list_id    = optional(string)
    }))
  })
}

variable "log" {
  description = "How long its log is kept, and the key it is encrypted with."
  type = object({
    days        = number
    kms_key_arn = string
  })
}
