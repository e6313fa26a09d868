# What production is.

locals {
  environment = "production"
  cidrs       = { us = "10.20.0.0/16", eu = "10.21.0.0/16" }
  protected   = true

  nat_gateways        = "per-zone"
  interface_endpoints = true

  kafka_version       = "3.9.x.kraft"
  brokers             = { type = "kafka.m7g.large", count = 3, storage_gib = 250, maximum_storage_gib = 2000 }
  enhanced_monitoring = "PER_TOPIC_PER_BROKER"

  postgres = { version = "17", class = "db.m7g.large", storage_gib = 100, maximum_storage_gib = 1000, multi_az = true, backup_days = 14 }
  influx   = { type = "db.influx.large", storage_gib = 200, multi_az = true }
  lake     = { infrequent_access_days = 30, noncurrent_days = 30 }

  log_days      = 90
  recovery_days = 30

  mirrormaker_size = { cpu = 1024, memory = 2048 }

  sizes = {
    producer-kalshi     = { cpu = 1024, memory = 2048 }
    producer-polymarket = { cpu = 1024, memory = 2048 }
    gateway-kalshi      = { cpu = 512, memory = 1024 }
    gateway-polymarket  = { cpu = 512, memory = 1024 }
    detector            = { cpu = 1024, memory = 2048 }
    executor            = { cpu = 512, memory = 1024 }
    sink-influx         = { cpu = 1024, memory = 2048 }
    sink-postgres       = { cpu = 512, memory = 1024 }
  }
}
