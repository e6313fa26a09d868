# Encryption, reach, replication, counts and rights, as planned, in both environments.

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

run "platform" {
  command = plan

  # --- encryption ---

  assert {
    condition = alltrue([
      for region, cluster in { us = module.msk_us.cluster, eu = module.msk_eu.cluster } :
      cluster.encryption.encryption_in_transit[0].client_broker == "TLS" && cluster.encryption.encryption_in_transit[0].in_cluster &&
      cluster.encryption.encryption_at_rest_kms_key_arn == { us = module.secrets_us.data_key_arn, eu = module.secrets_eu.data_key_arn }[region]
    ])
    error_message = "Brokers must encrypt what is on their disks with the region's key, and every connection with TLS."
  }

  assert {
    condition     = alltrue([for key in concat(values(module.secrets_us.rotation), values(module.secrets_eu.rotation)) : key.rotated && !key.multi_region])
    error_message = "Every key must be rotated, and exist in its own region only."
  }

  assert {
    condition = (
      module.stores.postgres.encrypted && module.stores.postgres.key == module.secrets_us.data_key_arn &&
      module.stores.postgres.parameters["rds.force_ssl"] == "1" && module.stores.postgres.managed_password &&
      strcontains(module.stores.for_services.postgres.environment.DUTCHBOOK_POSTGRES_DSN, "sslmode=require")
    )
    error_message = "PostgreSQL must be encrypted on disk and on the wire, and its password RDS's own."
  }

  assert {
    condition     = startswith(module.stores.for_services.influx.environment.DUTCHBOOK_INFLUX_URL, "https://")
    error_message = "InfluxDB must be spoken to by HTTPS."
  }

  assert {
    condition = (
      module.stores.lake_guards.encryption == "aws:kms" && module.stores.lake_guards.key == module.secrets_us.data_key_arn &&
      one(jsondecode(module.stores.lake_guards.policy).Statement).Effect == "Deny" &&
      one(jsondecode(module.stores.lake_guards.policy).Statement).Condition == { Bool = { "aws:SecureTransport" = "false" } } &&
      module.stores.lake_guards.versioning == "Enabled" && module.stores.lake_guards.transitions == [{ days = 30, storage_class = "STANDARD_IA" }]
    )
    error_message = "The lake must be encrypted with our key, reached by TLS only, keep versions, and move to infrequent access."
  }

  assert {
    condition     = module.observability_us.alarm_topic_key == module.secrets_us.data_key_arn && module.observability_eu.alarm_topic_key == module.secrets_eu.data_key_arn
    error_message = "Alarms must be encrypted on their way."
  }

  # --- who may connect ---

  assert {
    condition = alltrue([
      for cluster in [module.msk_us.cluster, module.msk_eu.cluster] :
      cluster.authentication.sasl[0].iam && !cluster.authentication.sasl[0].scram && !cluster.authentication.unauthenticated &&
      length(cluster.authentication.tls) == 0 && cluster.public_access == "DISABLED"
    ])
    error_message = "Brokers must take IAM and nothing else, and have no public address."
  }

  assert {
    condition = (
      alltrue([for rule in concat(module.msk_us.ingress, module.msk_eu.ingress) : rule.ports == [9098, 9098]]) &&
      [for rule in module.msk_us.ingress : rule.cidr if rule.cidr != null] == ["10.${split(".", local.cidrs.eu)[1]}.80.0/26"] &&
      [for rule in module.msk_eu.ingress : rule.cidr if rule.cidr != null] == ["10.${split(".", local.cidrs.us)[1]}.80.0/26"]
    )
    error_message = "Brokers admit port 9098 only, from named tasks and from the other region's MirrorMaker."
  }

  assert {
    condition = (
      toset([for rule in module.msk_us.ingress : rule.security_group_id if rule.cidr == null]) == toset(concat(values(module.services_us.security_group_ids), [module.mirroring.security_group_ids.us])) &&
      toset([for rule in module.msk_eu.ingress : rule.security_group_id if rule.cidr == null]) == toset(concat(values(module.services_eu.security_group_ids), [module.mirroring.security_group_ids.eu]))
    )
    error_message = "Brokers admit the tasks of their own region, each by its own security group."
  }

  assert {
    condition = (
      !module.stores.postgres.publicly_accessible && !module.stores.influx.publicly_accessible &&
      module.stores.lake_guards.block_public_acls && module.stores.lake_guards.block_public_policy &&
      module.stores.lake_guards.ignore_public_acls && module.stores.lake_guards.restrict_public_buckets
    )
    error_message = "No store may be public."
  }

  assert {
    condition = alltrue([for rule in module.stores.ingress : rule.cidr == null]) && toset([for rule in module.stores.ingress : "${rule.security_group_id}:${rule.ports[0]}"]) == toset([
      "${module.services_us.security_group_ids["sink-postgres"]}:5432",
      "${module.services_us.security_group_ids["sink-influx"]}:8086",
    ])
    error_message = "Each store admits its own sink, by its security group, and nothing else."
  }

  assert {
    condition = alltrue([
      for process in concat(values(module.services_us.processes), values(module.services_eu.processes), values(module.mirroring.processes)) :
      !process.service.assign_public_ip
    ])
    error_message = "No task may have a public address."
  }

  assert {
    condition = (
      toset(module.mirroring.routes.us) == toset(concat(values(module.network_eu.cidrs.data), [module.network_eu.mirror_cidr])) &&
      toset(module.mirroring.routes.eu) == toset(concat(values(module.network_us.cidrs.data), [module.network_us.mirror_cidr])) &&
      local.cidrs.us != local.cidrs.eu
    )
    error_message = "The peering must lead from each MirrorMaker to the other side's brokers and back, and nowhere else."
  }

  assert {
    condition = alltrue([
      for network in [module.network_us, module.network_eu] :
      length(network.subnet_ids.tasks) == 3 && length(network.subnet_ids.data) == 3 && length(network.subnet_ids.mirror) == 3 && length(network.cidrs.data) == 3
    ])
    error_message = "Both networks must stand in three zones."
  }

  # --- replication and partitions: topics.json, which is held equal to schemas/topics.py ---

  assert {
    condition = alltrue([
      for settings in [module.msk_us.settings, module.msk_eu.settings] :
      settings["num.partitions"] == tostring(local.topics.partitions) &&
      settings["default.replication.factor"] == tostring(local.topics.replication_factor) &&
      settings["min.insync.replicas"] == tostring(local.topics.minimum_in_sync_replicas) &&
      settings["offsets.topic.replication.factor"] == tostring(local.topics.replication_factor) &&
      settings["transaction.state.log.replication.factor"] == tostring(local.topics.replication_factor) &&
      settings["transaction.state.log.min.isr"] == tostring(local.topics.minimum_in_sync_replicas)
    ])
    error_message = "The brokers' partitions, copies and in-sync copies must be those of topics.json."
  }

  assert {
    condition = alltrue([
      for settings in [module.msk_us.settings, module.msk_eu.settings] :
      settings["auto.create.topics.enable"] == "false" && settings["unclean.leader.election.enable"] == "false" &&
      settings["log.message.timestamp.type"] == "CreateTime" && settings["message.max.bytes"] == "8388608" &&
      alltrue([for topic in concat(local.topics.regions.us, local.topics.regions.eu) : topic.configuration["max.message.bytes"] == settings["message.max.bytes"]])
    ])
    error_message = "No topic by accident, no leader that lacks records, the publisher's time, records of up to 8 MiB."
  }

  assert {
    condition = alltrue([
      for cluster in [module.msk_us.cluster, module.msk_eu.cluster] :
      endswith(cluster.kafka_version, ".kraft") && cluster.brokers == 3 && cluster.subnets == 3 && cluster.broker_logs &&
      cluster.brokers >= local.topics.replication_factor && cluster.storage.at_most > cluster.storage.at_first
    ])
    error_message = "KRaft, a broker in each of three zones, broker logs, and storage that grows."
  }

  assert {
    condition = (
      module.services_us.tasks_by_hand.topics.command == ["dutchbook", "topics", "create", "--region", "us", "--replication-factor", tostring(local.topics.replication_factor)] &&
      module.services_eu.tasks_by_hand.topics.command == ["dutchbook", "topics", "create", "--region", "eu", "--replication-factor", tostring(local.topics.replication_factor)]
    )
    error_message = "The one-shot task must make each region's topics with the copies of topics.json."
  }

  assert {
    condition = alltrue(flatten([
      for policy in [module.services_us.by_hand["topics"].policies.task, module.services_eu.by_hand["topics"].policies.task] : [
        for s in jsondecode(policy).Statement : length(setintersection(s.Action, ["kafka-cluster:ReadData", "kafka-cluster:WriteData", "kafka-cluster:DeleteTopic", "kafka-cluster:AlterTopic"])) == 0
      ]
    ]))
    error_message = "The task that makes topics may neither read, write, change nor delete them."
  }

  # --- how many run ---

  assert {
    condition = (
      module.services_us.processes["detector"].service.scaling == { minimum = 1, maximum = local.topics.partitions } &&
      length([for process in merge(module.services_us.processes, module.services_eu.processes) : process if process.service.scaling != null]) == 1
    )
    error_message = "The detector, and nothing else, scales from 1 to the number of partitions."
  }

  assert {
    condition = alltrue([
      for process in concat(
        [module.services_us.processes["producer-kalshi"], module.services_eu.processes["producer-polymarket"]], values(module.mirroring.processes),
      ) : process.service.desired_count == 1 && process.service.minimum_percent == 0 && process.service.maximum_percent == 100
    ])
    error_message = "Of each producer and MirrorMaker exactly one may run: the old one ends before the new one starts."
  }

  assert {
    condition = alltrue([
      for name in ["executor", "sink-influx", "sink-postgres", "gateway-kalshi"] :
      module.services_us.processes[name].service.desired_count == 1 && module.services_us.processes[name].service.minimum_percent == 100
    ])
    error_message = "Where a second one stands by, the old one ends only when the new one runs."
  }

  assert {
    condition = alltrue([
      for process in concat(values(module.services_us.processes), values(module.services_eu.processes), values(module.mirroring.processes)) :
      process.service.rolls_back && process.container.readonlyRootFilesystem && process.container.user == "10001" &&
      process.container.healthCheck.command == ["CMD", "python", "-m", "runtime.health"] && process.container.linuxParameters.capabilities.drop == ["ALL"] &&
      length([for setting in process.container.environment : setting if setting.name == "DUTCHBOOK_HEALTH_FILE"]) == 1
    ])
    error_message = "Every service rolls back by itself, has a health check, and runs without root, without capabilities, on a read-only file system."
  }

  assert {
    condition = alltrue([
      for process in concat(values(module.services_us.processes), values(module.services_eu.processes)) : endswith(process.container.image, ":0123abc")
    ]) && strcontains(module.services_us.processes["detector"].container.environment[2].value, "iam://b-1.")
    error_message = "Services run the tag that was asked for, and are told brokers that are spoken to with IAM."
  }

  # --- rights at the cluster ---

  assert {
    condition = alltrue(flatten([
      for process in concat(values(module.services_us.processes), values(module.services_eu.processes), values(module.mirroring.processes)) : [
        for s in jsondecode(process.policies.task).Statement : alltrue([for resource in s.Resource : !strcontains(resource, "*")]) && alltrue([for action in s.Action : startswith(action, "kafka-cluster:") && !strcontains(action, "*")])
      ]
    ]))
    error_message = "A service may do what is named, to what is named: no wildcard in a task role."
  }

  assert {
    condition = alltrue(flatten([
      for name, process in merge(module.services_us.processes, module.services_eu.processes) : [
        for s in jsondecode(process.policies.task).Statement :
        toset([for resource in s.Resource : reverse(split("/", resource))[0]]) == toset(local.processes[name].kafka[s.Action[0] == "kafka-cluster:ReadData" ? "read" : s.Action[0] == "kafka-cluster:WriteData" ? "write" : "groups"])
        if contains(["kafka-cluster:ReadData", "kafka-cluster:WriteData", "kafka-cluster:DescribeGroup"], s.Action[0])
      ]
    ]))
    error_message = "Topics read, topics written and groups must be those of processes.json, process by process."
  }

  assert {
    condition = alltrue([
      for process in concat(values(module.services_us.processes), values(module.services_eu.processes), values(module.mirroring.processes)) :
      length(process.policies.task) <= 10240 && length(process.policies.execution) <= 10240
    ])
    error_message = "IAM takes at most 10,240 characters of a role's own policies."
  }

  # --- watching ---

  assert {
    condition = alltrue([
      for alarm in concat(
        ["kafka-no-controller", "kafka-offline-partitions", "kafka-cpu-1", "kafka-cpu-3", "kafka-disk-2", "postgres-cpu", "postgres-storage", "postgres-connections"],
        flatten([for service in concat(keys(module.services_us.processes), ["mirrormaker"]) : ["tasks-${service}", "dead-letters-${service}", "cannot-go-on-${service}"]]),
      ) : lookup(module.observability_us.alarms, alarm, false)
    ])
    error_message = "An alarm of the us region is missing, or nobody hears of it."
  }

  assert {
    condition = alltrue([
      for alarm in concat(
        ["kafka-no-controller", "kafka-offline-partitions", "kafka-cpu-1", "kafka-disk-2"],
        flatten([for service in concat(keys(module.services_eu.processes), ["mirrormaker"]) : ["tasks-${service}", "dead-letters-${service}", "cannot-go-on-${service}"]]),
      ) : lookup(module.observability_eu.alarms, alarm, false)
    ])
    error_message = "An alarm of the eu region is missing, or nobody hears of it."
  }
}
