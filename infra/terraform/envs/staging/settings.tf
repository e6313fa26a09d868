# What staging is: the same form as production, small, and gone without trouble.

locals {
  environment = "staging"
  cidrs       = { us = "10.30.0.0/16", eu = "10.31.0.0/16" }
  protected   = false

  nat_gateways        = "single" # down with its zone
  interface_endpoints = false    # each costs by the hour and zone; NAT does

  kafka_version       = "3.9.x.kraft"
  brokers             = { type = "kafka.t3.small", count = 3, storage_gib = 50, maximum_storage_gib = 200 }
  enhanced_monitoring = "DEFAULT"

  postgres = { version = "17", class = "db.t4g.micro", storage_gib = 20, maximum_storage_gib = 50, multi_az = false, backup_days = 1 }
  influx   = { type = "db.influx.medium", storage_gib = 20, multi_az = false }
  lake     = { infrequent_access_days = 30, noncurrent_days = 7 }

  log_days      = 14
  recovery_days = 0

  mirrormaker_size = { cpu = 512, memory = 2048 }

  sizes = {
    producer-kalshi     = { cpu = 512, memory = 1024 }
    producer-polymarket = { cpu = 512, memory = 1024 }
    gateway-kalshi      = { cpu = 256, memory = 512 }
    gateway-polymarket  = { cpu = 256, memory = 512 }
    detector            = { cpu = 1024, memory = 2048 }
    executor            = { cpu = 256, memory = 1024 }
    sink-influx         = { cpu = 512, memory = 1024 }
    sink-postgres       = { cpu = 256, memory = 512 }
  }
}
