variable "name" {
  description = "What everything here is called, for instance dutchbook-production-us."
  type        = string
}

variable "region" {
  description = "The AWS region, for the names of its endpoints."
  type        = string
}

variable "cidr" {
  description = "The VPC's addresses, a /16 that overlaps neither the other region's nor anything it is peered with."
  type        = string

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && endswith(var.cidr, ".0.0/16")
    error_message = "The subnets are cut for a /16, such as 10.20.0.0/16."
  }
}

variable "zones" {
  description = "The three availability zones, by name."
  type        = list(string)

  validation {
    condition     = length(var.zones) == 3 && length(distinct(var.zones)) == 3
    error_message = "Three different availability zones are needed: brokers and their replicas are spread over them."
  }
}

variable "nat_gateways" {
  description = "How tasks reach the venues' public APIs: one NAT gateway a zone, or a single one (cheaper, and down with its zone)."
  type        = string

  validation {
    condition     = contains(["per-zone", "single"], var.nat_gateways)
    error_message = "Either per-zone or single."
  }
}

variable "interface_endpoints" {
  description = "Whether AWS's own services are reached inside the VPC (each endpoint costs by the hour and zone) or through the NAT gateways."
  type        = bool
}

variable "flow_log_days" {
  description = "How many days the flow logs are kept."
  type        = number
}

variable "kms_key_arn" {
  description = "The key that flow logs are encrypted with."
  type        = string
}
