import { api, ask, pageQuery, type Body, type Item } from '../app/api'
import { useList } from '../app/data'

export type Person = Item<'/api/v1/people'>
export type NewPerson = Body<'/api/v1/people'>

export const PEOPLE = 'people'

export const usePeople = (enabled = true) =>
  useList<Person>([PEOPLE], (cursor) => ask(api.GET('/api/v1/people', { params: { query: pageQuery(cursor) } })), {
    enabled,
  })

export const createPerson = (body: NewPerson) => ask(api.POST('/api/v1/people', { body }))

export const suspendPerson = (id: string) =>
  ask(api.POST('/api/v1/people/{person_id}/suspend', { params: { path: { person_id: id } } }))

export const resetPerson = (id: string) =>
  ask(api.POST('/api/v1/people/{person_id}/reset', { params: { path: { person_id: id } } }))

export const confirmPerson = ({ id, code }: { id: string; code: string }) =>
  ask(api.POST('/api/v1/people/{person_id}/confirm', { params: { path: { person_id: id } }, body: { code } }))

export type MadePerson = Awaited<ReturnType<typeof createPerson>>

export const signIn = (body: Body<'/api/v1/session'>) => ask(api.POST('/api/v1/session', { body }))

export const beginActivation = (token: string) => ask(api.POST('/api/v1/activation/begin', { body: { token } }))

export const completeActivation = (body: Body<'/api/v1/activation/complete'>) =>
  ask(api.POST('/api/v1/activation/complete', { body }))
