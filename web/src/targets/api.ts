import { useQuery } from '@tanstack/react-query'

import { api, ask, pageQuery, type Answer, type Body, type Item } from '../app/api'
import { useList } from '../app/data'

export type Target = Item<'/api/v1/targets'>
export type Zone = Item<'/api/v1/zones'>
export type NewTarget = Body<'/api/v1/targets'>
export interface Endpoint {
  address: string
  port: number
  host_key: string
}

export type Probe = Answer<'/api/v1/targets/{target_id}/probe', 'post'>

export const stateOf = (target: Target) => (target.retired_at === null ? 'in_use' : 'retired')

export const TARGETS = 'targets'
export const ZONES = 'zones'
export const AUDIT = 'audit'

export const useTargets = () =>
  useList<Target>([TARGETS], (cursor) => ask(api.GET('/api/v1/targets', { params: { query: pageQuery(cursor) } })))

export const useTarget = (id: string) =>
  useQuery({
    queryKey: [TARGETS, id],
    queryFn: () => ask(api.GET('/api/v1/targets/{target_id}', { params: { path: { target_id: id } } })),
  })

export const useZones = () =>
  useList<Zone>([ZONES], (cursor) => ask(api.GET('/api/v1/zones', { params: { query: pageQuery(cursor) } })))

const path = (id: string) => ({ params: { path: { target_id: id } } })

export const createZone = (name: string) => ask(api.POST('/api/v1/zones', { body: { name } }))
export const createTarget = (body: NewTarget) => ask(api.POST('/api/v1/targets', { body }))
export const changeEndpoint = ({ id, ...body }: Endpoint & { id: string }) =>
  ask(api.PUT('/api/v1/targets/{target_id}/endpoint', { ...path(id), body }))
export const retireTarget = (id: string) => ask(api.POST('/api/v1/targets/{target_id}/retire', path(id)))
export const probeTarget = (id: string) => ask(api.POST('/api/v1/targets/{target_id}/probe', path(id)))
export const probeAddress = (endpoint: Pick<Endpoint, 'address' | 'port'>) =>
  ask(api.POST('/api/v1/target-probes', { body: { ...endpoint, protocol: 'ssh' } }))
