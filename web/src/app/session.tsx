/** Who is signed in. `null` is nobody; the answer of the server is the only truth about it. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { createContext, use, useCallback, useEffect, useMemo, useState, type ReactNode } from 'react'

import { api, ask, onSignedOut, setCsrfToken, type Answer } from './api'
import { asLanguage, useI18n } from './i18n/i18n'
import type { Language } from './i18n/texts'
import type { Permission } from './permissions'
import { Problem } from './problem'

export type SessionView = Answer<'/api/v1/session', 'get'>

interface SessionState {
  session: SessionView | null | undefined
  error: Error | null
  retry: () => void
  /** The server ended the session while the console was in use. */
  expired: boolean
  begin: (session: SessionView) => void
  signOut: () => Promise<void>
  chooseLanguage: (language: Language) => void
  can: (permission: Permission) => boolean
}

const KEY = ['session']
const Context = createContext<SessionState | undefined>(undefined)

async function load(): Promise<SessionView | null> {
  try {
    return await ask(api.GET('/api/v1/session'))
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return null
    throw error
  }
}

export function SessionProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient()
  const { setLanguage } = useI18n()
  const [expired, setExpired] = useState(false)
  const query = useQuery({ queryKey: KEY, queryFn: load, staleTime: Infinity, retry: false, refetchOnWindowFocus: false })
  const session = query.data
  setCsrfToken(session?.csrf_token)

  const spoken = session?.person.language
  useEffect(() => {
    if (spoken) setLanguage(asLanguage(spoken))
  }, [spoken, setLanguage])

  const leave = useCallback(
    (lost: boolean) => {
      client.setQueryData(KEY, null)
      client.removeQueries({ predicate: (other) => other.queryKey[0] !== KEY[0] })
      setExpired(lost)
    },
    [client],
  )
  useEffect(() => {
    onSignedOut(() => {
      if (client.getQueryData(KEY)) leave(true)
    })
  }, [client, leave])

  const { error, refetch } = query
  const value = useMemo<SessionState>(
    () => ({
      session,
      error,
      retry: () => void refetch(),
      expired,
      begin: (next) => {
        setExpired(false)
        client.setQueryData(KEY, next)
      },
      signOut: async () => {
        await ask(api.DELETE('/api/v1/session'))
        leave(false)
      },
      chooseLanguage: (language) => {
        setLanguage(language)
        if (!session) return
        client.setQueryData(KEY, { ...session, person: { ...session.person, language } })
        // The page already speaks it; a server that could not store it only means asking again next time.
        ask(api.PUT('/api/v1/session/language', { body: { language } })).catch(() => undefined)
      },
      can: (permission) => session?.permissions.includes(permission) ?? false,
    }),
    [client, error, expired, leave, refetch, session, setLanguage],
  )
  return <Context value={value}>{children}</Context>
}

export function useSession(): SessionState {
  const value = use(Context)
  if (!value) throw new Error('useSession outside of SessionProvider')
  return value
}
