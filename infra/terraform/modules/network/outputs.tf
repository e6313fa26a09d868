output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "The VPC's addresses."
  value       = var.cidr
}

output "subnet_ids" {
  description = "Subnets by kind (public, tasks, mirror, data), each in the order of the zones."
  value = {
    public = [for zone in var.zones : aws_subnet.public[zone].id]
    tasks  = [for zone in var.zones : aws_subnet.tasks[zone].id]
    mirror = [for zone in var.zones : aws_subnet.mirror[zone].id]
    data   = [for zone in var.zones : aws_subnet.data[zone].id]
  }
}

output "cidrs" {
  description = "Addresses of every subnet by kind and zone."
  value       = local.cidrs
}

output "mirror_cidr" {
  description = "The addresses of MirrorMaker 2: all that the other region's brokers admit."
  value       = local.mirror_cidr
}

output "mirror_route_table_ids" {
  description = "Route tables of the mirror subnets by zone."
  value       = { for zone, table in aws_route_table.mirror : zone => table.id }
}

output "data_route_table_id" {
  description = "Route table of the data subnets."
  value       = aws_route_table.data.id
}

output "nat_gateway_ids" {
  description = "NAT gateways by zone."
  value       = { for zone, gateway in aws_nat_gateway.this : zone => gateway.id }
}

output "nat_addresses" {
  description = "The public addresses that the venues see."
  value       = [for zone in local.nat_zones : aws_eip.nat[zone].public_ip]
}

output "interface_endpoints" {
  description = "Whether AWS's services are reached inside the VPC."
  value       = var.interface_endpoints
}

output "https_egress" {
  description = "Where a task without internet may go by HTTPS: AWS's endpoints, or everywhere when there are none."
  value = { for name, to in {
    endpoints = { cidr = null, security_group_id = one(aws_security_group.endpoints[*].id), prefix_list_id = null }
    s3        = { cidr = null, security_group_id = null, prefix_list_id = aws_vpc_endpoint.s3.prefix_list_id }
    internet  = { cidr = "0.0.0.0/0", security_group_id = null, prefix_list_id = null }
  } : name => to if var.interface_endpoints == (name != "internet") }
}
