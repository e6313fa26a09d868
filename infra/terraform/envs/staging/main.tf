# Wiring only, and the same in every environment: what differs stands in settings.tf.

locals {
  topics    = jsondecode(file("${path.module}/../../topics.json"))
  processes = jsondecode(file("${path.module}/../../processes.json"))

  regions  = { us = "us-east-1", eu = "eu-west-1" }
  zones    = { us = ["us-east-1a", "us-east-1b", "us-east-1c"], eu = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  prefixes = { us = "dutchbook-${local.environment}-us", eu = "dutchbook-${local.environment}-eu" }
  tags     = { project = "dutchbook", environment = local.environment }

  replication = {
    partitions               = local.topics.partitions
    replication_factor       = local.topics.replication_factor
    minimum_in_sync_replicas = local.topics.minimum_in_sync_replicas
  }
  maximum_record_bytes = 8388608

  # Detectors share the partitions of the books: more of them than partitions would have nothing to do.
  scaling = { detector = { minimum = 1, maximum = local.topics.partitions, cpu_percent = 60 } }

  sized = { for name, process in local.processes : name => merge(process, local.sizes[name], {
    desired = var.running ? 1 : 0
    scaling = var.running ? lookup(local.scaling, name, null) : null
  }) }
}

# --- network, keys ------------------------------------------------------------------------------------------------------

module "network_us" {
  source    = "../../modules/network"
  providers = { aws = aws.us }

  name                = local.prefixes.us
  region              = local.regions.us
  cidr                = local.cidrs.us
  zones               = local.zones.us
  nat_gateways        = local.nat_gateways
  interface_endpoints = local.interface_endpoints
  flow_log_days       = local.log_days
  kms_key_arn         = module.secrets_us.data_key_arn
}

module "network_eu" {
  source    = "../../modules/network"
  providers = { aws = aws.eu }

  name                = local.prefixes.eu
  region              = local.regions.eu
  cidr                = local.cidrs.eu
  zones               = local.zones.eu
  nat_gateways        = local.nat_gateways
  interface_endpoints = local.interface_endpoints
  flow_log_days       = local.log_days
  kms_key_arn         = module.secrets_eu.data_key_arn
}

module "secrets_us" {
  source    = "../../modules/secrets"
  providers = { aws = aws.us }

  name               = local.prefixes.us
  account_id         = var.account_id
  region             = local.regions.us
  secret_name        = "dutchbook/${local.environment}/kalshi"
  reader_arns        = module.services_us.secret_reader_arns
  administrator_arns = var.administrator_arns
  recovery_days      = local.recovery_days

  network = {
    vpc_id              = module.network_us.vpc_id
    interface_endpoints = module.network_us.interface_endpoints
    nat_addresses       = module.network_us.nat_addresses
  }
}

module "secrets_eu" {
  source    = "../../modules/secrets"
  providers = { aws = aws.eu }

  name               = local.prefixes.eu
  account_id         = var.account_id
  region             = local.regions.eu
  secret_name        = "dutchbook/${local.environment}/polymarket"
  reader_arns        = module.services_eu.secret_reader_arns
  administrator_arns = var.administrator_arns
  recovery_days      = local.recovery_days

  network = {
    vpc_id              = module.network_eu.vpc_id
    interface_endpoints = module.network_eu.interface_endpoints
    nat_addresses       = module.network_eu.nat_addresses
  }
}

# --- Kafka --------------------------------------------------------------------------------------------------------------

module "msk_us" {
  source    = "../../modules/msk"
  providers = { aws = aws.us }

  name                      = local.prefixes.us
  kafka_version             = local.kafka_version
  brokers                   = local.brokers
  replication               = local.replication
  maximum_record_bytes      = local.maximum_record_bytes
  enhanced_monitoring       = local.enhanced_monitoring
  network                   = { vpc_id = module.network_us.vpc_id, subnet_ids = module.network_us.subnet_ids.data }
  client_security_group_ids = merge(module.services_us.security_group_ids, { mirrormaker = module.mirroring.security_group_ids.us })
  remote_mirror_cidr        = module.network_eu.mirror_cidr
  kms_key_arn               = module.secrets_us.data_key_arn
  log_days                  = local.log_days
}

module "msk_eu" {
  source    = "../../modules/msk"
  providers = { aws = aws.eu }

  name                      = local.prefixes.eu
  kafka_version             = local.kafka_version
  brokers                   = local.brokers
  replication               = local.replication
  maximum_record_bytes      = local.maximum_record_bytes
  enhanced_monitoring       = local.enhanced_monitoring
  network                   = { vpc_id = module.network_eu.vpc_id, subnet_ids = module.network_eu.subnet_ids.data }
  client_security_group_ids = merge(module.services_eu.security_group_ids, { mirrormaker = module.mirroring.security_group_ids.eu })
  remote_mirror_cidr        = module.network_us.mirror_cidr
  kms_key_arn               = module.secrets_eu.data_key_arn
  log_days                  = local.log_days
}

module "mirroring" {
  source    = "../../modules/mirroring"
  providers = { aws.us = aws.us, aws.eu = aws.eu }

  name       = "dutchbook-${local.environment}"
  account_id = var.account_id
  mirrored   = local.topics.mirrored
  images     = { tag = var.image_tag, architecture = var.image_architecture }
  size       = local.mirrormaker_size
  desired    = var.running ? 1 : 0

  regions = {
    us = {
      region                 = local.regions.us
      prefix                 = local.prefixes.us
      vpc_id                 = module.network_us.vpc_id
      cidr                   = module.network_us.cidr
      mirror_cidr            = module.network_us.mirror_cidr
      mirror_subnet_ids      = module.network_us.subnet_ids.mirror
      mirror_route_table_ids = module.network_us.mirror_route_table_ids
      data_cidrs             = module.network_us.cidrs.data
      data_route_table_id    = module.network_us.data_route_table_id
      kafka                  = { arn = module.msk_us.arn, address = module.msk_us.address, security_group_id = module.msk_us.security_group_id }
      cluster                = module.services_us.cluster
      repository             = module.services_us.repositories["mirrormaker"]
      https_egress           = module.network_us.https_egress
      log                    = { days = local.log_days, kms_key_arn = module.secrets_us.data_key_arn }
    }
    eu = {
      region                 = local.regions.eu
      prefix                 = local.prefixes.eu
      vpc_id                 = module.network_eu.vpc_id
      cidr                   = module.network_eu.cidr
      mirror_cidr            = module.network_eu.mirror_cidr
      mirror_subnet_ids      = module.network_eu.subnet_ids.mirror
      mirror_route_table_ids = module.network_eu.mirror_route_table_ids
      data_cidrs             = module.network_eu.cidrs.data
      data_route_table_id    = module.network_eu.data_route_table_id
      kafka                  = { arn = module.msk_eu.arn, address = module.msk_eu.address, security_group_id = module.msk_eu.security_group_id }
      cluster                = module.services_eu.cluster
      repository             = module.services_eu.repositories["mirrormaker"]
      https_egress           = module.network_eu.https_egress
      log                    = { days = local.log_days, kms_key_arn = module.secrets_eu.data_key_arn }
    }
  }
}

# --- processes, stores --------------------------------------------------------------------------------------------------

module "services_us" {
  source    = "../../modules/services"
  providers = { aws = aws.us }

  prefix             = local.prefixes.us
  account_id         = var.account_id
  region             = local.regions.us
  home               = "us"
  images             = { tag = var.image_tag, architecture = var.image_architecture }
  processes          = { for name, process in local.sized : name => process if process.region == "us" }
  replication_factor = local.topics.replication_factor
  kafka              = { arn = module.msk_us.arn, address = module.msk_us.address, security_group_id = module.msk_us.security_group_id }
  stores             = module.stores.for_services
  log                = { days = local.log_days, kms_key_arn = module.secrets_us.data_key_arn }
  deletable          = !local.protected

  venue = "kalshi"

  venue_secret = {
    arn     = module.secrets_us.secret_arn
    key_arn = module.secrets_us.venue_key_arn
    in_use  = var.venue_keys_in_use.kalshi
  }

  network = {
    vpc_id       = module.network_us.vpc_id
    subnet_ids   = module.network_us.subnet_ids.tasks
    https_egress = module.network_us.https_egress
  }
}

module "services_eu" {
  source    = "../../modules/services"
  providers = { aws = aws.eu }

  prefix             = local.prefixes.eu
  account_id         = var.account_id
  region             = local.regions.eu
  home               = "eu"
  images             = { tag = var.image_tag, architecture = var.image_architecture }
  processes          = { for name, process in local.sized : name => process if process.region == "eu" }
  replication_factor = local.topics.replication_factor
  kafka              = { arn = module.msk_eu.arn, address = module.msk_eu.address, security_group_id = module.msk_eu.security_group_id }
  log                = { days = local.log_days, kms_key_arn = module.secrets_eu.data_key_arn }
  deletable          = !local.protected

  venue = "polymarket"

  venue_secret = {
    arn     = module.secrets_eu.secret_arn
    key_arn = module.secrets_eu.venue_key_arn
    in_use  = var.venue_keys_in_use.polymarket
  }

  network = {
    vpc_id       = module.network_eu.vpc_id
    subnet_ids   = module.network_eu.subnet_ids.tasks
    https_egress = module.network_eu.https_egress
  }
}

module "stores" {
  source    = "../../modules/stores"
  providers = { aws = aws.us }

  prefix      = local.prefixes.us
  account_id  = var.account_id
  protected   = local.protected
  network     = { vpc_id = module.network_us.vpc_id, subnet_ids = module.network_us.subnet_ids.data }
  kms_key_arn = module.secrets_us.data_key_arn
  log_days    = local.log_days
  postgres    = merge(local.postgres, { ca_file = var.postgres_ca_file })
  influx      = local.influx
  lake        = local.lake

  client_security_group_ids = {
    for store in ["postgres", "influx"] : store => {
      for name, process in local.processes : name => module.services_us.security_group_ids[name] if contains(process.stores, store)
    }
  }
}

# --- watching -----------------------------------------------------------------------------------------------------------

module "observability_us" {
  source    = "../../modules/observability"
  providers = { aws = aws.us }

  prefix                 = local.prefixes.us
  account_id             = var.account_id
  region                 = local.regions.us
  emails                 = var.alarm_emails
  running                = var.running
  kms_key_arn            = module.secrets_us.data_key_arn
  nat_gateway_ids        = module.network_us.nat_gateway_ids
  database               = { identifier = local.prefixes.us, storage_gib = local.postgres.storage_gib }
  monthly_budget_dollars = var.monthly_budget_dollars

  services = {
    cluster    = module.services_us.cluster.name
    log_groups = merge({ for name, process in module.services_us.processes : name => process.log_group }, { mirrormaker = module.mirroring.processes.us.log_group })
  }

  kafka = {
    name                = module.msk_us.name
    brokers             = module.msk_us.broker_count
    has_storage         = module.msk_us.has_storage
    enhanced_monitoring = module.msk_us.enhanced_monitoring
    other_alias         = "eu"
  }
}

module "observability_eu" {
  source    = "../../modules/observability"
  providers = { aws = aws.eu }

  prefix          = local.prefixes.eu
  account_id      = var.account_id
  region          = local.regions.eu
  emails          = var.alarm_emails
  running         = var.running
  kms_key_arn     = module.secrets_eu.data_key_arn
  nat_gateway_ids = module.network_eu.nat_gateway_ids

  services = {
    cluster    = module.services_eu.cluster.name
    log_groups = merge({ for name, process in module.services_eu.processes : name => process.log_group }, { mirrormaker = module.mirroring.processes.eu.log_group })
  }

  kafka = {
    name                = module.msk_eu.name
    brokers             = module.msk_eu.broker_count
    has_storage         = module.msk_eu.has_storage
    enhanced_monitoring = module.msk_eu.enhanced_monitoring
    other_alias         = "us"
  }
}
