import { api, ask, pageQuery, type Answer, type Item } from '../app/api'
import { useList } from '../app/data'

export type Device = Item<'/api/v1/devices'>
export type Invite = Answer<'/api/v1/device-invites', 'post'>

export const DEVICES = 'devices'

export const useDevices = () =>
  useList<Device>([DEVICES], (cursor) => ask(api.GET('/api/v1/devices', { params: { query: pageQuery(cursor) } })), {
    refreshSeconds: 15,
  })

const path = (id: string) => ({ params: { path: { device_id: id } } })

export const invite = (person_id: string) => ask(api.POST('/api/v1/device-invites', { body: { person_id } }))

export const trustDevice = ({ id, short_code }: { id: string; short_code: string }) =>
  ask(api.POST('/api/v1/devices/{device_id}/trust', { ...path(id), body: { short_code } }))

export const changePolicy = ({ id, allow_header_address }: { id: string; allow_header_address: boolean }) =>
  ask(
    api.PUT('/api/v1/devices/{device_id}/policy', { ...path(id), body: { allow_header_address, loose_clock: false } }),
  )

export const suspendDevice = (id: string) => ask(api.POST('/api/v1/devices/{device_id}/suspend', path(id)))
export const resumeDevice = (id: string) => ask(api.POST('/api/v1/devices/{device_id}/resume', path(id)))
export const retireDevice = (id: string) => ask(api.POST('/api/v1/devices/{device_id}/retire', path(id)))
