# What would hurt is refused by the modules themselves. The environment does not matter, so it is tried in one of them only.

mock_provider "aws" {
  alias = "us"
}

mock_provider "aws" {
  alias = "eu"
}

run "secrets_with_a_pattern_for_a_reader" {
  command   = plan
  providers = { aws = aws.us }

  module {
    source = "../../modules/secrets"
  }

  variables {
    name               = "dutchbook-staging-us"
    account_id         = "123456789012"
    region             = "us-east-1"
    secret_name        = "dutchbook/staging/kalshi"
    reader_arns        = ["arn:aws:iam::123456789012:role/*"]
    administrator_arns = ["arn:aws:iam::123456789012:role/deployer"]
    recovery_days      = 0
    network            = { vpc_id = "vpc-1", interface_endpoints = true, nat_addresses = [] }
  }

  expect_failures = [var.reader_arns]
}

run "secrets_that_their_writer_reads" {
  command   = plan
  providers = { aws = aws.us }

  module {
    source = "../../modules/secrets"
  }

  variables {
    name               = "dutchbook-staging-us"
    account_id         = "123456789012"
    region             = "us-east-1"
    secret_name        = "dutchbook/staging/kalshi"
    reader_arns        = ["arn:aws:iam::123456789012:role/deployer"]
    administrator_arns = ["arn:aws:iam::123456789012:role/deployer"]
    recovery_days      = 0
    network            = { vpc_id = "vpc-1", interface_endpoints = true, nat_addresses = [] }
  }

  expect_failures = [var.administrator_arns]
}

run "brokers_with_zookeeper" {
  command   = plan
  providers = { aws = aws.us }

  module {
    source = "../../modules/msk"
  }

  variables {
    name                      = "dutchbook-staging-us"
    kafka_version             = "3.9.x"
    brokers                   = { type = "kafka.m7g.large", count = 3, storage_gib = 10, maximum_storage_gib = 20 }
    replication               = { partitions = 8, replication_factor = 3, minimum_in_sync_replicas = 2 }
    maximum_record_bytes      = 8388608
    enhanced_monitoring       = "DEFAULT"
    network                   = { vpc_id = "vpc-1", subnet_ids = ["subnet-1", "subnet-2", "subnet-3"] }
    client_security_group_ids = {}
    remote_mirror_cidr        = "10.31.80.0/26"
    kms_key_arn               = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-1111-1111-111111111111"
    log_days                  = 14
  }

  expect_failures = [var.kafka_version]
}

run "brokers_that_stop_when_one_restarts" {
  command   = plan
  providers = { aws = aws.us }

  module {
    source = "../../modules/msk"
  }

  variables {
    name                      = "dutchbook-staging-us"
    kafka_version             = "3.9.x.kraft"
    brokers                   = { type = "kafka.m7g.large", count = 3, storage_gib = 10, maximum_storage_gib = 20 }
    replication               = { partitions = 8, replication_factor = 3, minimum_in_sync_replicas = 3 }
    maximum_record_bytes      = 8388608
    enhanced_monitoring       = "DEFAULT"
    network                   = { vpc_id = "vpc-1", subnet_ids = ["subnet-1", "subnet-2", "subnet-3"] }
    client_security_group_ids = {}
    remote_mirror_cidr        = "10.31.0.0/16"
    kms_key_arn               = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-1111-1111-111111111111"
    log_days                  = 14
  }

  expect_failures = [var.replication, var.remote_mirror_cidr]
}

run "express_brokers_are_told_nothing_that_they_refuse" {
  command   = plan
  providers = { aws = aws.us }

  module {
    source = "../../modules/msk"
  }

  variables {
    name                      = "dutchbook-staging-us"
    kafka_version             = "3.9.x.kraft"
    brokers                   = { type = "express.m7g.large", count = 3, storage_gib = 1, maximum_storage_gib = 1 }
    replication               = { partitions = 8, replication_factor = 3, minimum_in_sync_replicas = 2 }
    maximum_record_bytes      = 8388608
    enhanced_monitoring       = "DEFAULT"
    network                   = { vpc_id = "vpc-1", subnet_ids = ["subnet-1", "subnet-2", "subnet-3"] }
    client_security_group_ids = {}
    remote_mirror_cidr        = "10.31.80.0/26"
    kms_key_arn               = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-1111-1111-111111111111"
    log_days                  = 14
  }

  assert {
    condition = (
      !strcontains(aws_msk_configuration.this.server_properties, "replica") &&
      !strcontains(aws_msk_configuration.this.server_properties, "unclean") &&
      strcontains(aws_msk_configuration.this.server_properties, "auto.create.topics.enable=false")
    )
    error_message = "Express brokers fix copies and elections themselves and refuse to be told."
  }

  assert {
    condition     = length(aws_msk_cluster.this.broker_node_group_info[0].storage_info) == 0 && length(aws_appautoscaling_target.storage) == 0
    error_message = "Express brokers have no storage to size."
  }
}

run "a_network_in_two_zones" {
  command   = plan
  providers = { aws = aws.eu }

  module {
    source = "../../modules/network"
  }

  variables {
    name                = "dutchbook-staging-eu"
    region              = "eu-west-1"
    cidr                = "10.31.0.0/20"
    zones               = ["eu-west-1a", "eu-west-1b"]
    nat_gateways        = "none"
    interface_endpoints = false
    flow_log_days       = 14
    kms_key_arn         = "arn:aws:kms:eu-west-1:123456789012:key/22222222-2222-2222-2222-222222222222"
  }

  expect_failures = [var.cidr, var.zones, var.nat_gateways]
}

run "the_image_called_latest" {
  command   = plan
  providers = { aws = aws.us }

  module {
    source = "../../modules/services"
  }

  variables {
    prefix             = "dutchbook-staging-us"
    account_id         = "123456789012"
    region             = "us-east-1"
    home               = "us"
    images             = { tag = "latest", architecture = "X86_64" }
    processes          = {}
    replication_factor = 3
    kafka              = { arn = "arn:aws:kafka:us-east-1:123456789012:cluster/mock/1", address = "iam://b-1:9098", security_group_id = "sg-1" }
    venue              = "kalshi"
    venue_secret       = { arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mock", key_arn = "arn:aws:kms:us-east-1:123456789012:key/1", in_use = false }
    network            = { vpc_id = "vpc-1", subnet_ids = ["subnet-1"], https_egress = {} }
    log                = { days = 14, kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-1111-1111-111111111111" }
    deletable          = true
  }

  expect_failures = [var.images]
}

run "two_producers_of_one_venue" {
  command   = plan
  providers = { aws = aws.us }

  module {
    source = "../../modules/services/process"
  }

  variables {
    prefix           = "dutchbook-staging-us"
    name             = "producer-kalshi"
    region           = "us-east-1"
    account_id       = "123456789012"
    definition       = { image = "mock:1", architecture = "X86_64", command = ["python"], cpu = 256, memory = 512, environment = {}, secrets = {}, service = true }
    count_of         = { desired = 2, one_of_a_kind = true }
    kafka            = []
    readable_secrets = { secret_arns = [], key_arns = [] }
    repository_arn   = "arn:aws:ecr:us-east-1:123456789012:repository/mock"
    cluster          = { arn = "arn:aws:ecs:us-east-1:123456789012:cluster/mock", name = "mock" }
    network          = { vpc_id = "vpc-1", subnet_ids = ["subnet-1"], egress = {} }
    log              = { days = 14, kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-1111-1111-111111111111" }
  }

  expect_failures = [var.count_of]
}
