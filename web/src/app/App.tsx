/** Providers, then: activation, sign-in, or the console with the pages of this person's permissions. */
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { Component, Suspense, lazy, type ReactNode } from 'react'
import { BrowserRouter, Navigate, Route, Routes } from 'react-router'

import { SignInPage } from '../identities/SignInPage'
import { useSetUp } from '../set_up/api'
import { Loading } from './DataList'
import { LanguageProvider, useI18n } from './i18n/i18n'
import { pages } from './pages'
import { PageHead, Refusal } from './parts'
import { may } from './permissions'
import { Problem } from './problem'
import { SessionProvider, useSession } from './session'
import { Shell } from './Shell'
import { ThemeProvider } from './theme'

const ActivationPage = lazy(() => import('../identities/ActivationPage'))

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // A refusal stays a refusal; only a network that failed is worth a second try.
      retry: (count, error) => error instanceof Problem && error.code === 'network' && count < 2,
    },
    mutations: { retry: false },
  },
})

export function App() {
  return (
    <QueryClientProvider client={client}>
      <LanguageProvider>
        <ThemeProvider>
          <Fence>
            <BrowserRouter>
              <SessionProvider>
                <Suspense fallback={<Loading />}>
                  <Routes>
                    <Route path="/activate" element={<ActivationPage />} />
                    <Route path="*" element={<Console />} />
                  </Routes>
                </Suspense>
              </SessionProvider>
            </BrowserRouter>
          </Fence>
        </ThemeProvider>
      </LanguageProvider>
    </QueryClientProvider>
  )
}

function Console() {
  const { session, error, retry } = useSession()
  if (session === undefined) return error ? <Stop error={error} retry={retry} /> : <Loading />
  if (session === null) return <SignInPage />
  return <Pages role={session.person.role} />
}

/** Who sets a site up begins there until it is done; everybody else with the first page of the role. */
const SETTING_UP = new Set(['system_administrator', 'security_administrator'])

function Pages({ role }: { role: string }) {
  const { can } = useSession()
  const setUp = useSetUp(can(may.readHealth))
  const incomplete = setUp.data?.complete === false
  const mine = pages.filter((page) => can(page.permission))
  const shown = mine.filter((page) => incomplete || !page.nav?.duringSetUp)
  const waits = setUp.isLoading && SETTING_UP.has(role)
  const first = incomplete && SETTING_UP.has(role) ? '/set-up' : mine.find((page) => page.nav)?.paths[0]
  return (
    <Shell pages={shown}>
      <Suspense fallback={<Loading />}>
        <Routes>
          {mine.flatMap(({ paths, element: Page }) =>
            paths.map((path) => <Route key={path} path={path} element={<Page />} />),
          )}
          <Route path="/" element={waits ? <Loading /> : first ? <Navigate to={first} replace /> : <Nothing />} />
          <Route path="*" element={<NotHere />} />
        </Routes>
      </Suspense>
    </Shell>
  )
}

function Stop({ error, retry }: { error: unknown; retry: () => void }) {
  return (
    <main className="narrow">
      <Refusal error={error} retry={retry} />
    </main>
  )
}

function Nothing() {
  const { t } = useI18n()
  return <PageHead title={t('app.no_pages')} lead={t('app.no_pages_text')} />
}

function NotHere() {
  const { t } = useI18n()
  return <PageHead title={t('app.not_here')} lead={t('app.not_here_text')} />
}

/** A page that breaks says so; the rest of the console stays. */
class Fence extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false }
  static getDerivedStateFromError() {
    return { broken: true }
  }
  override render() {
    return this.state.broken ? <Broken /> : this.props.children
  }
}

function Broken() {
  const { t } = useI18n()
  return (
    <main className="narrow">
      <PageHead title={t('app.broken')} lead={t('app.broken_text')} />
      <button type="button" className="plain" onClick={() => window.location.reload()}>
        {t('app.reload')}
      </button>
    </main>
  )
}
