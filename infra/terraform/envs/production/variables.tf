variable "account_id" {
  description = "The AWS account of this environment, and of this environment only: repositories are not named after it."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "Twelve digits."
  }
}

variable "administrator_arns" {
  description = "The roles that may write the venues' secrets, and may not read them. The role that runs Terraform is one of them."
  type        = list(string)
}

variable "image_tag" {
  description = "The tag of both images, in both regions' repositories."
  type        = string
}

variable "image_architecture" {
  description = "What the images are built for: X86_64 or ARM64."
  type        = string
  default     = "X86_64"
}

variable "venue_keys_in_use" {
  description = "By venue: whether its secret holds a value that its processes are to be given. Stays false until a key has been put there. Without one Kalshi's public books are polled; Polymarket's are open."
  type = object({
    kalshi     = optional(bool, false)
    polymarket = optional(bool, false)
  })
  default = {}
}

variable "running" {
  description = "Whether the processes run. False makes everything but starts none: for the first apply, when there are no images and topics yet, and to stop all of it."
  type        = bool
  default     = true
}

variable "alarm_emails" {
  description = "Who hears of alarms."
  type        = list(string)
  default     = []
}

variable "monthly_budget_dollars" {
  description = "The account's budget a month, 0 for none. It needs alarm_emails."
  type        = number
  default     = 0
}

variable "postgres_ca_file" {
  description = "A file in the image with the certificate authorities of RDS, for sinks to verify the database by. Null: encrypted, not verified."
  type        = string
  default     = null
}
