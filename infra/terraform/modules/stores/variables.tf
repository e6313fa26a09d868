variable "prefix" {
  description = "What everything here is called, for instance dutchbook-production-us."
  type        = string
}

variable "account_id" {
  description = "The AWS account; part of the lake's name, which is one for the whole world."
  type        = string
}

variable "protected" {
  description = "Whether the stores are guarded against being deleted: deletion protection, a last snapshot, a bucket that must be emptied first."
  type        = bool
}

variable "network" {
  description = "The VPC and one subnet a zone."
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })
}

variable "kms_key_arn" {
  description = "The key for disks, snapshots, passwords, the lake and logs."
  type        = string
}

variable "log_days" {
  description = "How many days the database's logs are kept."
  type        = number
}

variable "postgres" {
  description = "RDS for PostgreSQL: major version, instance class, storage in GiB at first and at most, whether a second zone stands by, days of backups, and a file with the database's certificate authorities in the image (null: encrypted, but the server is not verified)."
  type = object({
    version             = string
    class               = string
    storage_gib         = number
    maximum_storage_gib = number
    multi_az            = bool
    backup_days         = number
    ca_file             = optional(string)
  })

  validation {
    condition     = contains(["16", "17", "18"], var.postgres.version)
    error_message = "A major version, 16, 17 or 18: minor versions come by themselves in the maintenance window."
  }

  validation {
    condition     = var.postgres.backup_days >= 1 && var.postgres.backup_days <= 35
    error_message = "Backups are kept for 1 to 35 days."
  }
}

variable "influx" {
  description = "Timestream for InfluxDB: instance type, storage in GiB, and whether a second zone stands by."
  type = object({
    type        = string
    storage_gib = number
    multi_az    = bool
  })

  validation {
    condition     = startswith(var.influx.type, "db.influx.")
    error_message = "An instance type begins with db.influx."
  }
}

variable "lake" {
  description = "The lake: after how many days objects go to infrequent access, and for how many days what was overwritten or deleted is kept."
  type = object({
    infrequent_access_days = number
    noncurrent_days        = number
  })

  validation {
    condition     = var.lake.infrequent_access_days >= 30
    error_message = "S3 moves nothing to infrequent access before 30 days."
  }
}

variable "client_security_group_ids" {
  description = "Security groups of the processes that write each store, by store and process. Nothing else is admitted."
  type = object({
    postgres = map(string)
    influx   = map(string)
  })
}
