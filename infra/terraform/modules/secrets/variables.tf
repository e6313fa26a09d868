variable "name" {
  description = "What everything here is called, for instance dutchbook-production-us."
  type        = string
}

variable "account_id" {
  description = "The AWS account."
  type        = string
}

variable "region" {
  description = "The one AWS region in which the venue's key is kept and used."
  type        = string
}

variable "secret_name" {
  description = "The secret's name, for instance dutchbook/production/kalshi."
  type        = string

  validation {
    condition     = can(regex("^dutchbook/[a-z]+/(kalshi|polymarket)$", var.secret_name))
    error_message = "dutchbook/<environment>/<venue>, for kalshi or polymarket."
  }
}

variable "reader_arns" {
  description = "The roles that may read the secret: the execution roles of the venue's own processes, in this region."
  type        = list(string)

  validation {
    condition     = length(var.reader_arns) > 0 && alltrue([for arn in var.reader_arns : can(regex("^arn:aws:iam::[0-9]{12}:role/[a-zA-Z0-9-]+$", arn))])
    error_message = "At least one reader, each a role by its full ARN, without wildcards."
  }
}

variable "administrator_arns" {
  description = "The roles that may write the secret, and none of which may read it. The role that runs Terraform belongs to them."
  type        = list(string)

  validation {
    condition     = length(var.administrator_arns) > 0 && alltrue([for arn in var.administrator_arns : can(regex("^arn:aws:iam::[0-9]{12}:role/[^*?]+$", arn))])
    error_message = "At least one administrator, each a role by its full ARN, without wildcards."
  }

  validation {
    condition     = length(setintersection(var.administrator_arns, var.reader_arns)) == 0
    error_message = "Whoever writes a venue's key does not read it: administrators and readers are different roles."
  }
}

variable "network" {
  description = "From where the secret may be read: the region's VPC where Secrets Manager has an endpoint in it, else its NAT gateways' addresses."
  type = object({
    vpc_id              = string
    interface_endpoints = bool
    nat_addresses       = list(string)
  })
}

variable "recovery_days" {
  description = "How many days a deleted secret or key can be had back; 0 deletes the secret at once (a key has at least 7)."
  type        = number

  validation {
    condition     = var.recovery_days == 0 || (var.recovery_days >= 7 && var.recovery_days <= 30)
    error_message = "0, or 7 to 30 days."
  }
}
