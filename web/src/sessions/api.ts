import { useQuery } from '@tanstack/react-query'

import { api, ask, pageQuery, type Item } from '../app/api'
import { useList } from '../app/data'

export type Session = Item<'/api/v1/sessions'>

export const SESSIONS = 'sessions'
const REFRESH_SECONDS = 10
/** While somebody looks at what runs: who else watches, and whether input is held. */
const REFRESH_LIVE_SECONDS = 3

export const useSessions = (state: 'live' | undefined) =>
  useList<Session>(
    [SESSIONS, state ?? 'all'],
    (cursor) =>
      ask(api.GET('/api/v1/sessions', { params: { query: { ...pageQuery(cursor), ...(state ? { state } : {}) } } })),
    { refreshSeconds: state ? REFRESH_LIVE_SECONDS : REFRESH_SECONDS },
  )

export const useOneSession = (id: string | undefined, { live = false } = {}) =>
  useQuery({
    queryKey: [SESSIONS, 'one', id],
    queryFn: () => ask(api.GET('/api/v1/sessions/{session_id}', { params: { path: { session_id: id ?? '' } } })),
    enabled: id !== undefined,
    refetchInterval: (query) => (query.state.data?.state === 'closed' ? false : (live ? REFRESH_LIVE_SECONDS : REFRESH_SECONDS) * 1000),
  })

/** Its device has a quarter of an hour: until it has spoken, the page looks again. */
export const useReceipt = (session: Session) =>
  useQuery({
    queryKey: [SESSIONS, 'receipt', session.id],
    queryFn: () => ask(api.GET('/api/v1/sessions/{session_id}/receipt', { params: { path: { session_id: session.id } } })),
    enabled: session.state === 'closed' && session.recording_id !== null,
    refetchInterval: (query) => (query.state.data?.state === 'awaited' ? REFRESH_SECONDS * 1000 : false),
  })

export const cutSession = ({ id, reason }: { id: string; reason: string }) =>
  ask(api.POST('/api/v1/sessions/{session_id}/cut', { params: { path: { session_id: id } }, body: { reason } }))

export const freezeSession = ({ id, reason }: { id: string; reason: string }) =>
  ask(api.POST('/api/v1/sessions/{session_id}/freeze', { params: { path: { session_id: id } }, body: { reason } }))

export const thawSession = ({ id, reason }: { id: string; reason: string }) =>
  ask(api.POST('/api/v1/sessions/{session_id}/thaw', { params: { path: { session_id: id } }, body: { reason } }))

export const messageSession = ({ id, text }: { id: string; text: string }) =>
  ask(api.POST('/api/v1/sessions/{session_id}/message', { params: { path: { session_id: id } }, body: { text } }))
