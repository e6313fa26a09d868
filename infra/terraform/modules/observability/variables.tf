variable "prefix" {
  description = "What everything of this region is called, for instance dutchbook-production-us."
  type        = string
}

variable "account_id" {
  description = "The AWS account."
  type        = string
}

variable "region" {
  description = "The AWS region."
  type        = string
}

variable "emails" {
  description = "Who hears of alarms; each address must confirm its subscription once."
  type        = list(string)

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+$", email))])
    error_message = "E-mail addresses are meant."
  }
}

variable "kms_key_arn" {
  description = "The key that alarms are encrypted with on their way."
  type        = string
}

variable "running" {
  description = "Whether the services are meant to run: when not, nobody is told that they do not."
  type        = bool
}

variable "services" {
  description = "The ECS cluster's name, and the log of every service in it, by service."
  type = object({
    cluster    = string
    log_groups = map(string)
  })
}

variable "kafka" {
  description = "The region's cluster: its name, how many brokers, whether they have disks, which metrics CloudWatch gets, and the other region's alias."
  type = object({
    name                = string
    brokers             = number
    has_storage         = bool
    enhanced_monitoring = string
    other_alias         = string
  })
}

variable "nat_gateway_ids" {
  description = "NAT gateways by zone."
  type        = map(string)
}

variable "database" {
  description = "The PostgreSQL instance, where the region has one: its identifier and its storage in GiB."
  type = object({
    identifier  = string
    storage_gib = number
  })
  default = null
}

variable "monthly_budget_dollars" {
  description = "The account's budget a month; mail at 80 % of it, and when it is forecast to be passed. 0 for none. For one region only: it counts both."
  type        = number
  default     = 0
}
