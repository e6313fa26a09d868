# One region's Kafka cluster: KRaft, IAM and nothing else to sign in with, TLS on every connection.

locals {
  express = startswith(var.brokers.type, "express.")

  # Express brokers fix replication at 3, in-sync copies at 2 and the election themselves, and refuse to be told.
  settings = merge(
    {
      "auto.create.topics.enable"  = "false"
      "log.message.timestamp.type" = "CreateTime"
      "message.max.bytes"          = tostring(var.maximum_record_bytes)
      "num.partitions"             = tostring(var.replication.partitions)
    },
    local.express ? {} : {
      "default.replication.factor"               = tostring(var.replication.replication_factor)
      "min.insync.replicas"                      = tostring(var.replication.minimum_in_sync_replicas)
      "offsets.topic.replication.factor"         = tostring(var.replication.replication_factor)
      "transaction.state.log.replication.factor" = tostring(var.replication.replication_factor)
      "transaction.state.log.min.isr"            = tostring(var.replication.minimum_in_sync_replicas)
      "replica.fetch.max.bytes"                  = tostring(var.maximum_record_bytes)
      "unclean.leader.election.enable"           = "false"
    },
  )
}

# Named after the version as well: an upgrade needs the new one beside the old one for a while.
resource "aws_msk_configuration" "this" {
  name              = "${var.name}-${replace(var.kafka_version, ".", "-")}"
  description       = "dutchbook: topics are made from schemas/topics.py only"
  kafka_versions    = [var.kafka_version]
  server_properties = join("\n", [for name, value in local.settings : "${name}=${value}"])

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = !local.express || (var.replication.replication_factor == 3 && var.replication.minimum_in_sync_replicas == 2)
      error_message = "Express brokers keep three copies, two of them in sync: topics.json asks for something else."
    }
  }
}

resource "aws_cloudwatch_log_group" "brokers" {
  name              = "/${replace(var.name, "-", "/")}/msk"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_msk_cluster" "this" {
  cluster_name           = var.name
  kafka_version          = var.kafka_version
  number_of_broker_nodes = var.brokers.count
  enhanced_monitoring    = var.enhanced_monitoring

  broker_node_group_info {
    instance_type   = var.brokers.type
    client_subnets  = var.network.subnet_ids
    security_groups = [aws_security_group.brokers.id]

    dynamic "storage_info" {
      for_each = local.express ? [] : [var.brokers.storage_gib]

      content {
        ebs_storage_info {
          volume_size = storage_info.value
        }
      }
    }

    connectivity_info {
      public_access {
        type = "DISABLED"
      }
    }
  }

  client_authentication {
    unauthenticated = false

    sasl {
      iam   = true
      scram = false
    }
  }

  encryption_info {
    encryption_at_rest_kms_key_arn = var.kms_key_arn

    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }

  configuration_info {
    arn      = aws_msk_configuration.this.arn
    revision = aws_msk_configuration.this.latest_revision
  }

  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.brokers.name
      }
    }
  }

  open_monitoring {
    prometheus {
      jmx_exporter {
        enabled_in_broker = var.open_monitoring
      }
      node_exporter {
        enabled_in_broker = var.open_monitoring
      }
    }
  }

  lifecycle {
    # The storage grows by itself, and never shrinks.
    ignore_changes = [broker_node_group_info[0].storage_info]
  }
}

# --- storage grows by itself (Express brokers have no storage to speak of) -------------------------------------------

resource "aws_appautoscaling_target" "storage" {
  count = local.express ? 0 : 1

  service_namespace  = "kafka"
  scalable_dimension = "kafka:broker-storage:VolumeSize"
  resource_id        = aws_msk_cluster.this.arn
  min_capacity       = 1
  max_capacity       = var.brokers.maximum_storage_gib
}

resource "aws_appautoscaling_policy" "storage" {
  count = local.express ? 0 : 1

  name               = "${var.name}-broker-storage"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.storage[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.storage[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.storage[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value     = 60
    disable_scale_in = true

    predefined_metric_specification {
      predefined_metric_type = "KafkaBrokerStorageUtilization"
    }
  }
}

# --- who may connect ------------------------------------------------------------------------------------------------

resource "aws_security_group" "brokers" {
  name        = "${var.name}-brokers"
  description = "Kafka brokers: IAM over TLS from named tasks, and from the other region's MirrorMaker"
  vpc_id      = var.network.vpc_id

  tags = { Name = "${var.name}-brokers" }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = var.client_security_group_ids

  security_group_id            = aws_security_group.brokers.id
  description                  = each.key
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 9098
  to_port                      = 9098
}

resource "aws_vpc_security_group_ingress_rule" "remote_mirror" {
  security_group_id = aws_security_group.brokers.id
  description       = "MirrorMaker 2 of the other region"
  cidr_ipv4         = var.remote_mirror_cidr
  ip_protocol       = "tcp"
  from_port         = 9098
  to_port           = 9098
}

