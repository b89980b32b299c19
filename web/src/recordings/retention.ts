import { useQuery } from '@tanstack/react-query'

import { api, ask, pageQuery, type Answer, type Item } from '../app/api'
import { useList } from '../app/data'

export type Kept = Answer<'/api/v1/retention/recordings/{recording_id}', 'get'>
export type LegalHold = Item<'/api/v1/retention/holds'>
export type Purge = Item<'/api/v1/retention/purges'>
export type Forecast = NonNullable<Answer<'/api/v1/retention/storage', 'get'>['forecast']>

export const RETENTION = 'retention'
const REFRESH_SECONDS = 30

/** What a recording is called in a list: whose it was, for those who may know, else its id. */
export const wordsOf = (kept: Kept) => (kept.session ? `${kept.session.person} · ${kept.session.target}` : kept.recording_id)

export const useStorage = () =>
  useQuery({ queryKey: [RETENTION, 'storage'], queryFn: () => ask(api.GET('/api/v1/retention/storage')) })

export const useKept = (id: string) =>
  useQuery({
    queryKey: [RETENTION, 'recordings', id],
    queryFn: () => ask(api.GET('/api/v1/retention/recordings/{recording_id}', { params: { path: { recording_id: id } } })),
  })

/** Recordings whose time is over, oldest first. */
export const useOver = () =>
  useList<Kept>([RETENTION, 'over'], (cursor) =>
    ask(api.GET('/api/v1/retention/recordings', { params: { query: pageQuery(cursor) } })),
  )

export const useHolds = () =>
  useList<LegalHold>([RETENTION, 'holds'], (cursor) =>
    ask(api.GET('/api/v1/retention/holds', { params: { query: pageQuery(cursor) } })),
  )

export const usePurges = (state: 'asked' | undefined) =>
  useList<Purge>(
    [RETENTION, 'purges', state ?? 'all'],
    (cursor) =>
      ask(api.GET('/api/v1/retention/purges', { params: { query: { ...pageQuery(cursor), ...(state ? { state } : {}) } } })),
    { refreshSeconds: REFRESH_SECONDS },
  )

const purgePath = (id: string) => ({ params: { path: { purge_id: id } } })

/** A purge with its exact list. It is not read again by itself: what is confirmed is the list that was looked at. */
export const usePurge = (id: string) =>
  useQuery({
    queryKey: [RETENTION, 'purge', id],
    queryFn: () => ask(api.GET('/api/v1/retention/purges/{purge_id}', purgePath(id))),
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  })

export const placeHold = ({ id, reason }: { id: string; reason: string }) =>
  ask(api.POST('/api/v1/recordings/{recording_id}/holds', { params: { path: { recording_id: id } }, body: { reason } }))

export const liftHold = ({ id, reason }: { id: string; reason: string }) =>
  ask(api.POST('/api/v1/retention/holds/{hold_id}/lift', { params: { path: { hold_id: id } }, body: { reason } }))

export const askPurge = ({ ids, reason }: { ids: string[]; reason: string }) =>
  ask(api.POST('/api/v1/retention/purges', { body: { recording_ids: ids, reason } }))

export const confirmPurge = ({ id, listSha256 }: { id: string; listSha256: string }) =>
  ask(api.POST('/api/v1/retention/purges/{purge_id}/confirm', { ...purgePath(id), body: { list_sha256: listSha256 } }))

export const declinePurge = ({ id, reason }: { id: string; reason: string }) =>
  ask(api.POST('/api/v1/retention/purges/{purge_id}/decline', { ...purgePath(id), body: { reason } }))

export const withdrawPurge = (id: string) =>
  ask(api.POST('/api/v1/retention/purges/{purge_id}/withdraw', purgePath(id)))
