# What production is, beside what holds everywhere.

mock_provider "aws" {
  alias           = "us"
  source          = "./tests/mocks/us"
  override_during = plan
}

mock_provider "aws" {
  alias           = "eu"
  source          = "./tests/mocks/eu"
  override_during = plan
}

variables {
  account_id         = "123456789012"
  administrator_arns = ["arn:aws:iam::123456789012:role/deployer"]
  image_tag          = "0123abc"
  alarm_emails       = ["alarms@example.com"]
  venue_keys_in_use  = { kalshi = true, polymarket = true }
}

run "production" {
  command = plan

  assert {
    condition     = module.stores.postgres.deletion_protection && !module.stores.postgres.skip_final_snapshot && !module.stores.lake_guards.force_destroy
    error_message = "Production's stores must be protected from being deleted."
  }

  assert {
    condition     = module.stores.postgres.multi_az && module.stores.influx.deployment_type == "WITH_MULTIAZ_STANDBY" && module.stores.postgres.backup_days >= 7
    error_message = "Production's stores stand by in a second zone, and PostgreSQL has a week of backups."
  }

  assert {
    condition     = length(module.network_us.nat_gateway_ids) == 3 && length(module.network_eu.nat_gateway_ids) == 3
    error_message = "Production has a NAT gateway in each zone."
  }

  assert {
    condition = alltrue([
      for vpc, policy in { vpc-us = module.secrets_us.policies.secret, vpc-eu = module.secrets_eu.policies.secret } :
      one([for s in jsondecode(policy).Statement : s if s.Sid == "OnlyFromItsOwnNetwork"]).Condition == { StringNotEquals = { "aws:SourceVpc" = [vpc] } }
    ])
    error_message = "With endpoints a secret is read inside the region's own VPC only."
  }

  assert {
    condition = alltrue(flatten([
      for name, process in merge(module.services_us.processes, module.services_eu.processes, { mirrormaker-us = module.mirroring.processes.us }) : [
        for rule in process.egress : rule.cidr != "0.0.0.0/0" || startswith(name, "producer-")
      ]
    ]))
    error_message = "Only producers may reach the internet."
  }

  assert {
    condition     = alltrue([for alarms in [module.observability_us.alarms, module.observability_eu.alarms] : lookup(alarms, "mirror-stands-still", false) && lookup(alarms, "kafka-under-replicated-1", false)])
    error_message = "Production hears of a mirror that stands still, and of partitions that lack copies."
  }
}
