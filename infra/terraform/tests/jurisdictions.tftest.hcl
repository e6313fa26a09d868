# Each venue's key stays in its own jurisdiction: read from the policies as they are planned, in both environments.

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

run "jurisdictions" {
  command = plan

  # --- who reads: exactly the venue's own processes, in its own region ---

  assert {
    condition = [for s in jsondecode(module.secrets_us.policies.secret).Statement : s if s.Sid == "OnlyItsOwnProcessesRead"] == [{
      Sid       = "OnlyItsOwnProcessesRead"
      Effect    = "Deny"
      Principal = "*"
      Action    = "secretsmanager:GetSecretValue"
      Resource  = "*"
      Condition = { ArnNotEquals = { "aws:PrincipalArn" = [
        "arn:aws:iam::123456789012:role/dutchbook-${local.environment}-us-gateway-kalshi-execution",
        "arn:aws:iam::123456789012:role/dutchbook-${local.environment}-us-producer-kalshi-execution",
      ] } }
    }]
    error_message = "Kalshi's secret must be denied to all but the execution roles of Kalshi's gateway and producer in us."
  }

  assert {
    condition = [for s in jsondecode(module.secrets_eu.policies.secret).Statement : s if s.Sid == "OnlyItsOwnProcessesRead"] == [{
      Sid       = "OnlyItsOwnProcessesRead"
      Effect    = "Deny"
      Principal = "*"
      Action    = "secretsmanager:GetSecretValue"
      Resource  = "*"
      Condition = { ArnNotEquals = { "aws:PrincipalArn" = [
        "arn:aws:iam::123456789012:role/dutchbook-${local.environment}-eu-gateway-polymarket-execution",
        "arn:aws:iam::123456789012:role/dutchbook-${local.environment}-eu-producer-polymarket-execution",
      ] } }
    }]
    error_message = "Polymarket's secret must be denied to all but the execution roles of Polymarket's gateway and producer in eu."
  }

  assert {
    condition = alltrue([
      for policies in [module.secrets_us.policies, module.secrets_eu.policies] :
      alltrue([for s in jsondecode(policies.secret).Statement : s.Effect == "Deny"])
    ])
    error_message = "A venue's secret allows nobody anything by itself: its policy only denies."
  }

  assert {
    condition = (
      length(regexall("polymarket|eu-west-1|-eu-", join("", [module.secrets_us.policies.secret, module.secrets_us.policies.venue_key]))) == 0 &&
      length(regexall("kalshi|us-east-1|-us-", join("", [module.secrets_eu.policies.secret, module.secrets_eu.policies.venue_key]))) == 0
    )
    error_message = "No principal of one region's venue may stand in the other's policies."
  }

  assert {
    condition     = length(regexall("-task\"", join("", concat(values(module.secrets_us.policies), values(module.secrets_eu.policies))))) == 0
    error_message = "No task role may stand in a policy of secrets or keys: only the start of a task reads secrets."
  }

  assert {
    condition = alltrue([
      for process in concat(
        values(module.services_us.processes), values(module.services_eu.processes),
        values(module.services_us.by_hand), values(module.services_eu.by_hand), values(module.mirroring.processes),
      ) :
      length(regexall("secretsmanager|kms:", process.policies.task)) == 0
    ])
    error_message = "No task role may read a secret or use a key."
  }

  assert {
    condition = (
      module.services_us.processes["gateway-kalshi"].execution_role_arn == "arn:aws:iam::123456789012:role/dutchbook-${local.environment}-us-gateway-kalshi-execution" &&
      module.services_eu.processes["gateway-polymarket"].execution_role_arn == "arn:aws:iam::123456789012:role/dutchbook-${local.environment}-eu-gateway-polymarket-execution"
    )
    error_message = "The roles that the secrets' policies name must be those that the processes have."
  }

  # --- from the other side: who is allowed to ask for a venue's secret at all ---

  assert {
    condition = toset([
      for name, process in merge(module.services_us.processes, module.services_us.by_hand, { mirrormaker = module.mirroring.processes.us }) : name
      if strcontains(process.policies.execution, module.secrets_us.secret_arn)
    ]) == toset(["producer-kalshi"])
    error_message = "In us only Kalshi's producer asks for Kalshi's secret."
  }

  assert {
    condition = alltrue([
      for process in concat(values(module.services_eu.processes), values(module.services_eu.by_hand), [module.mirroring.processes.eu]) :
      !strcontains(process.policies.execution, module.secrets_us.secret_arn) && !strcontains(process.policies.execution, module.secrets_us.venue_key_arn)
    ])
    error_message = "No role in eu may be allowed Kalshi's secret or its key."
  }

  assert {
    condition = alltrue([
      for process in concat(values(module.services_us.processes), values(module.services_us.by_hand), [module.mirroring.processes.us]) :
      !strcontains(process.policies.execution, module.secrets_eu.secret_arn) && !strcontains(process.policies.execution, module.secrets_eu.venue_key_arn)
    ])
    error_message = "No role in us may be allowed Polymarket's secret or its key."
  }

  assert {
    condition = alltrue(flatten([
      for process in concat(values(module.services_us.processes), values(module.services_eu.processes), values(module.mirroring.processes)) : [
        for s in jsondecode(process.policies.execution).Statement :
        alltrue([for resource in s.Resource : !strcontains(resource, "*")]) if contains(s.Action, "secretsmanager:GetSecretValue") || contains(s.Action, "kms:Decrypt")
      ]
    ]))
    error_message = "Secrets and keys are allowed by their full names, never by a pattern."
  }

  assert {
    condition = alltrue(concat(
      flatten([for process in module.services_eu.processes : [for setting in concat(process.container.environment, process.container.secrets) : !startswith(setting.name, "DUTCHBOOK_KALSHI")]]),
      flatten([for process in module.services_us.processes : [for setting in concat(process.container.environment, process.container.secrets) : !startswith(setting.name, "DUTCHBOOK_POLYMARKET")]]),
      flatten([for name, process in module.services_us.processes : [for setting in process.container.secrets : !startswith(setting.name, "DUTCHBOOK_KALSHI")] if name != "producer-kalshi"]),
    ))
    error_message = "A venue's settings are given to that venue's own processes only."
  }

  # --- from where, by whom else, and no copies ---

  assert {
    condition = alltrue([
      for region, policy in { us-east-1 = module.secrets_us.policies.secret, eu-west-1 = module.secrets_eu.policies.secret } :
      one([for s in jsondecode(policy).Statement : s if s.Sid == "OnlyInItsOwnRegion"]).Condition == { StringNotEquals = { "aws:RequestedRegion" = region } } &&
      one([for s in jsondecode(policy).Statement : s if s.Sid == "OnlyInItsOwnRegion"]).Action == "secretsmanager:*"
    ])
    error_message = "Requests to another region must be denied, each venue with its own region."
  }

  assert {
    condition = alltrue([
      for policy in [module.secrets_us.policies.secret, module.secrets_eu.policies.secret] :
      one([for s in jsondecode(policy).Statement : s if s.Sid == "OnlyFromItsOwnNetwork"]).Action == "secretsmanager:GetSecretValue"
    ])
    error_message = "Reading from outside the region's own network must be denied."
  }

  assert {
    condition = (
      module.secrets_us.replicas == module.secrets_eu.replicas && length(module.secrets_us.replicas) == 0 &&
      alltrue([
        for policy in [module.secrets_us.policies.secret, module.secrets_eu.policies.secret] :
        [for s in jsondecode(policy).Statement : [s.Effect, s.Principal, s.Action, s.Resource, length(keys(s))] if s.Sid == "NoReplicas"] == [["Deny", "*", "secretsmanager:ReplicateSecretToRegions", "*", 5]]
      ])
    )
    error_message = "No secret may have a copy in another region, and nobody may make one."
  }

  assert {
    condition = alltrue([
      for policy in [module.secrets_us.policies.secret, module.secrets_eu.policies.secret] :
      jsonencode(one([for s in jsondecode(policy).Statement : s if s.Sid == "OnlyAdministratorsWrite"]).Condition) == jsonencode({ ArnNotEquals = { "aws:PrincipalArn" = var.administrator_arns } }) &&
      contains(one([for s in jsondecode(policy).Statement : s if s.Sid == "OnlyAdministratorsWrite"]).Action, "secretsmanager:PutSecretValue")
    ])
    error_message = "Only administrators may write a secret."
  }

  assert {
    condition = alltrue(flatten([
      for region, policy in { us-east-1 = module.secrets_us.policies.venue_key, eu-west-1 = module.secrets_eu.policies.venue_key } : [
        for s in jsondecode(policy).Statement : (
          length(setintersection(flatten([s.Action]), ["kms:*", "kms:Encrypt", "kms:ReEncrypt*", "kms:CreateGrant", "kms:Decrypt"])) == 0 ||
          try(!contains(flatten([s.Action]), "kms:*") && s.Condition.StringEquals["kms:ViaService"] == "secretsmanager.${region}.amazonaws.com" && length(s.Condition.ArnEquals["aws:PrincipalArn"]) > 0, false)
        )
      ]
    ]))
    error_message = "A venue's key decrypts through its region's Secrets Manager only, and for named roles only."
  }

  assert {
    condition = (
      module.secrets_us.secret_name == "dutchbook/${local.environment}/kalshi" && output.venue_secrets.kalshi.region == "us-east-1" &&
      module.secrets_eu.secret_name == "dutchbook/${local.environment}/polymarket" && output.venue_secrets.polymarket.region == "eu-west-1" &&
      strcontains(module.secrets_us.secret_arn, ":us-east-1:") && strcontains(module.secrets_eu.secret_arn, ":eu-west-1:")
    )
    error_message = "Kalshi's secret belongs to us-east-1, Polymarket's to eu-west-1."
  }

  # --- clusters: each process speaks to its own region's; MirrorMaker alone to both ---

  assert {
    condition = alltrue(concat(
      [for process in concat(values(module.services_us.processes), values(module.services_us.by_hand)) : !strcontains(process.policies.task, "eu-west-1")],
      [for process in concat(values(module.services_eu.processes), values(module.services_eu.by_hand)) : !strcontains(process.policies.task, "us-east-1")],
    ))
    error_message = "No process but MirrorMaker may be allowed anything at the other region's cluster."
  }

  assert {
    condition = alltrue(flatten([
      for process in concat(
        values(module.services_us.processes), values(module.services_eu.processes),
        values(module.services_us.by_hand), values(module.services_eu.by_hand),
      ) : [for rule in process.egress : rule.cidr == null || rule.cidr == "0.0.0.0/0" && rule.port == 443]
    ]))
    error_message = "No process but MirrorMaker may connect to the other region's network."
  }

  assert {
    condition = (
      alltrue([for s in jsondecode(module.mirroring.processes.us.policies.task).Statement : alltrue([for resource in s.Resource : strcontains(resource, ":us-east-1:") || endswith(resource, "/mm2-offset-syncs.us.internal")]) if contains(s.Action, "kafka-cluster:WriteData") || contains(s.Action, "kafka-cluster:CreateTopic")]) &&
      alltrue([for s in jsondecode(module.mirroring.processes.eu.policies.task).Statement : alltrue([for resource in s.Resource : strcontains(resource, ":eu-west-1:") || endswith(resource, "/mm2-offset-syncs.eu.internal")]) if contains(s.Action, "kafka-cluster:WriteData") || contains(s.Action, "kafka-cluster:CreateTopic")])
    )
    error_message = "A MirrorMaker writes its own region's cluster, and in the other nothing but its offset syncs."
  }

  assert {
    condition = toset(flatten([
      for s in jsondecode(module.mirroring.processes.eu.policies.task).Statement : [for resource in s.Resource : reverse(split("/", resource))[0]]
      if contains(s.Action, "kafka-cluster:ReadData") && strcontains(s.Resource[0], ":us-east-1:")
    ])) == toset(concat(local.topics.mirrored.eu, ["heartbeats"]))
    error_message = "What goes from us to eu is what topics.json says, and nothing else: no ticket, no order for Kalshi."
  }
}
