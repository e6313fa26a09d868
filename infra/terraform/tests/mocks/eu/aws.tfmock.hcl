# What AWS would answer in eu-west-1: shapes as the provider checks them, values that tell the two regions apart.

mock_resource "aws_msk_cluster" {
  defaults = {
    arn                        = "arn:aws:kafka:eu-west-1:123456789012:cluster/dutchbook-production-eu/22222222-2222-2222-2222-222222222222-2"
    bootstrap_brokers_sasl_iam = "b-1.mockeu.c2.kafka.eu-west-1.amazonaws.com:9098,b-2.mockeu.c2.kafka.eu-west-1.amazonaws.com:9098"
  }
}

mock_resource "aws_msk_configuration" {
  defaults = {
    arn             = "arn:aws:kafka:eu-west-1:123456789012:configuration/mock-eu/22222222-2222-2222-2222-222222222222-2"
    latest_revision = 1
  }
}

mock_resource "aws_kms_key" {
  defaults = {
    arn    = "arn:aws:kms:eu-west-1:123456789012:key/22222222-2222-2222-2222-222222222222-2"
    key_id = "22222222-2222-2222-2222-222222222222-2"
  }
}

mock_resource "aws_secretsmanager_secret" {
  defaults = {
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:mock-eu-abcdef"
  }
}

mock_resource "aws_db_instance" {
  defaults = {
    arn     = "arn:aws:rds:eu-west-1:123456789012:db:mock-eu"
    address = "mock-eu.cluster.eu-west-1.rds.amazonaws.com"
    master_user_secret = [{
      secret_arn    = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-mock-eu"
      kms_key_id    = "arn:aws:kms:eu-west-1:123456789012:key/22222222-2222-2222-2222-222222222222-2"
      secret_status = "active"
    }]
  }
}

mock_resource "aws_timestreaminfluxdb_db_instance" {
  defaults = {
    endpoint                          = "mock-eu.timestream-influxdb.eu-west-1.on.aws"
    influx_auth_parameters_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:READONLY-InfluxDB-mock-eu"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn = "arn:aws:iam::123456789012:role/mock-eu"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:eu-west-1:123456789012:log-group:mock-eu"
  }
}

mock_resource "aws_sns_topic" {
  defaults = {
    arn = "arn:aws:sns:eu-west-1:123456789012:mock-eu"
  }
}

mock_resource "aws_ecs_cluster" {
  defaults = {
    arn = "arn:aws:ecs:eu-west-1:123456789012:cluster/mock-eu"
  }
}

mock_resource "aws_ecs_task_definition" {
  defaults = {
    arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/mock-eu:1"
  }
}

mock_resource "aws_ecr_repository" {
  defaults = {
    arn            = "arn:aws:ecr:eu-west-1:123456789012:repository/mock-eu"
    repository_url = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mock-eu"
  }
}

mock_resource "aws_vpc" {
  defaults = {
    id = "vpc-eu"
  }
}

mock_resource "aws_eip" {
  defaults = {
    public_ip = "198.51.100.1"
  }
}

mock_resource "aws_vpc_endpoint" {
  defaults = {
    prefix_list_id = "pl-eu"
  }
}

# Named, so that its made-up id is known while planning.
mock_resource "aws_security_group" {
  defaults = {}
}
