# What staging is, beside what holds everywhere; here as it is before the first images are pushed.

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
  running            = false
}

run "staging" {
  command = plan

  assert {
    condition     = !module.stores.postgres.deletion_protection && module.stores.postgres.skip_final_snapshot && module.stores.lake_guards.force_destroy
    error_message = "Staging must go without trouble."
  }

  assert {
    condition     = length(module.network_us.nat_gateway_ids) == 1 && length(module.network_eu.nat_gateway_ids) == 1 && !module.network_us.interface_endpoints
    error_message = "Staging has one NAT gateway a region, and no endpoints that cost by the hour."
  }

  assert {
    condition = alltrue([
      for address, policy in { "203.0.113.1/32" = module.secrets_us.policies.secret, "198.51.100.1/32" = module.secrets_eu.policies.secret } :
      one([for s in jsondecode(policy).Statement : s if s.Sid == "OnlyFromItsOwnNetwork"]).Condition == { NotIpAddress = { "aws:SourceIp" = [address] } }
    ])
    error_message = "Without endpoints a secret is read from the region's own NAT address only."
  }

  # Everything is there, nothing runs, and no secret is asked for.

  assert {
    condition = alltrue([
      for process in concat(values(module.services_us.processes), values(module.services_eu.processes), values(module.mirroring.processes)) :
      process.service.desired_count == 0 && process.service.scaling == null
    ])
    error_message = "With running = false nothing may run."
  }

  assert {
    condition     = length(module.services_us.processes["producer-kalshi"].container.secrets) == 0
    error_message = "A secret without a value must not be asked for: ECS would not start the task."
  }

  assert {
    condition     = length([for s in jsondecode(module.secrets_us.policies.secret).Statement : s if s.Effect == "Deny"]) == 5
    error_message = "The secret is guarded before it has a value."
  }

  assert {
    condition     = !module.observability_us.alarms["tasks-detector"] && module.observability_us.alarms["kafka-no-controller"]
    error_message = "Nobody is told that services do not run which are not meant to; of everything else they are."
  }
}
