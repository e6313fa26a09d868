# What AWS would answer in us-east-1: shapes as the provider checks them, values that tell the two regions apart.

mock_resource "aws_msk_cluster" {
  defaults = {
    arn                        = "arn:aws:kafka:us-east-1:123456789012:cluster/dutchbook-production-us/11111111-1111-1111-1111-111111111111-1"
    bootstrap_brokers_sasl_iam = "b-1.mockus.c2.kafka.us-east-1.amazonaws.com:9098,b-2.mockus.c2.kafka.us-east-1.amazonaws.com:9098"
  }
}

mock_resource "aws_msk_configuration" {
  defaults = {
    arn             = "arn:aws:kafka:us-east-1:123456789012:configuration/mock-us/11111111-1111-1111-1111-111111111111-1"
    latest_revision = 1
  }
}

mock_resource "aws_kms_key" {
  defaults = {
    arn    = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-1111-1111-111111111111-1"
    key_id = "11111111-1111-1111-1111-111111111111-1"
  }
}

mock_resource "aws_secretsmanager_secret" {
  defaults = {
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mock-us-abcdef"
  }
}

mock_resource "aws_db_instance" {
  defaults = {
    arn     = "arn:aws:rds:us-east-1:123456789012:db:mock-us"
    address = "mock-us.cluster.us-east-1.rds.amazonaws.com"
    master_user_secret = [{
      secret_arn    = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-mock-us"
      kms_key_id    = "arn:aws:kms:us-east-1:123456789012:key/11111111-1111-1111-1111-111111111111-1"
      secret_status = "active"
    }]
  }
}

mock_resource "aws_timestreaminfluxdb_db_instance" {
  defaults = {
    endpoint                          = "mock-us.timestream-influxdb.us-east-1.on.aws"
    influx_auth_parameters_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:READONLY-InfluxDB-mock-us"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn = "arn:aws:iam::123456789012:role/mock-us"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:mock-us"
  }
}

mock_resource "aws_sns_topic" {
  defaults = {
    arn = "arn:aws:sns:us-east-1:123456789012:mock-us"
  }
}

mock_resource "aws_ecs_cluster" {
  defaults = {
    arn = "arn:aws:ecs:us-east-1:123456789012:cluster/mock-us"
  }
}

mock_resource "aws_ecs_task_definition" {
  defaults = {
    arn = "arn:aws:ecs:us-east-1:123456789012:task-definition/mock-us:1"
  }
}

mock_resource "aws_ecr_repository" {
  defaults = {
    arn            = "arn:aws:ecr:us-east-1:123456789012:repository/mock-us"
    repository_url = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mock-us"
  }
}

mock_resource "aws_vpc" {
  defaults = {
    id = "vpc-us"
  }
}

mock_resource "aws_eip" {
  defaults = {
    public_ip = "203.0.113.1"
  }
}

mock_resource "aws_vpc_endpoint" {
  defaults = {
    prefix_list_id = "pl-us"
  }
}

# Named, so that its made-up id is known while planning.
mock_resource "aws_security_group" {
  defaults = {}
}

override_resource {
  target = module.stores.aws_security_group.influx
  values = {
    id = "sg-0123456789abcdef0"
  }
}
