variable "name" {
  description = "The cluster's name, for instance dutchbook-production-us."
  type        = string
}

variable "kafka_version" {
  description = "The MSK version; the suffix .kraft asks for KRaft instead of ZooKeeper."
  type        = string

  validation {
    condition     = endswith(var.kafka_version, ".kraft")
    error_message = "A KRaft version is needed, such as 3.9.x.kraft."
  }
}

variable "brokers" {
  description = "Brokers: their type (express.* or kafka.*), how many, and for kafka.* the storage of each in GiB, at first and at most."
  type = object({
    type                = string
    count               = number
    storage_gib         = number
    maximum_storage_gib = number
  })

  validation {
    condition     = var.brokers.count >= 3 && var.brokers.count % 3 == 0
    error_message = "Brokers are spread evenly over three zones: 3, 6, 9 ..."
  }

  validation {
    condition     = startswith(var.brokers.type, "express.") || startswith(var.brokers.type, "kafka.")
    error_message = "A broker type begins with express. or kafka."
  }

  validation {
    condition     = var.brokers.maximum_storage_gib >= var.brokers.storage_gib
    error_message = "The storage can only grow: maximum_storage_gib is at least storage_gib."
  }
}

variable "replication" {
  description = "Of every topic: partitions where none are given, copies, and how many of them must have a record before it is acknowledged. From topics.json."
  type = object({
    partitions               = number
    replication_factor       = number
    minimum_in_sync_replicas = number
  })

  validation {
    condition     = var.replication.minimum_in_sync_replicas < var.replication.replication_factor
    error_message = "With as many copies in sync as there are copies, one broker's restart would stop every producer."
  }
}

variable "maximum_record_bytes" {
  description = "The largest record batch a broker takes; MAXIMUM_RECORD_BYTES of schemas/topics.py."
  type        = number
}

variable "enhanced_monitoring" {
  description = "Which metrics CloudWatch gets; all but DEFAULT are paid for. The alarm on a mirror that stands still needs PER_TOPIC_PER_BROKER."
  type        = string

  validation {
    condition     = contains(["DEFAULT", "PER_BROKER", "PER_TOPIC_PER_BROKER", "PER_TOPIC_PER_PARTITION"], var.enhanced_monitoring)
    error_message = "One of DEFAULT, PER_BROKER, PER_TOPIC_PER_BROKER, PER_TOPIC_PER_PARTITION."
  }
}

variable "open_monitoring" {
  description = "Whether the brokers serve Prometheus metrics inside the VPC. No security group admits a reader yet."
  type        = bool
  default     = false
}

variable "network" {
  description = "Where the brokers stand: the VPC and one subnet a zone."
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
  })

  validation {
    condition     = length(var.network.subnet_ids) == 3
    error_message = "One subnet in each of three zones."
  }
}

variable "client_security_group_ids" {
  description = "Security groups of the tasks in this region that speak to the brokers, by process."
  type        = map(string)
}

variable "remote_mirror_cidr" {
  description = "Addresses of the other region's MirrorMaker 2, the only reader from outside."
  type        = string

  validation {
    condition     = can(cidrhost(var.remote_mirror_cidr, 0)) && tonumber(split("/", var.remote_mirror_cidr)[1]) >= 24
    error_message = "A narrow range is meant, a /24 at most."
  }
}

variable "kms_key_arn" {
  description = "The key for the brokers' disks and logs."
  type        = string
}

variable "log_days" {
  description = "How many days broker logs are kept."
  type        = number
}
