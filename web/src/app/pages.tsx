/** The pages, in the order of the navigation. A page is one line here and one folder beside this one. */
import { lazy, type ComponentType, type LazyExoticComponent } from 'react'

import type { Key } from './i18n/texts'
import type { IconName } from './icons'
import { may, type Permission } from './permissions'

export interface PageEntry {
  /** Route patterns; the first without parameters is where the navigation goes. */
  paths: string[]
  permission: Permission
  element: LazyExoticComponent<ComponentType>
  /** `duringSetUp`: shown only while the site is not set up yet. */
  nav?: { title: Key; icon: IconName; duringSetUp?: boolean }
}

export const pages: PageEntry[] = [
  {
    paths: ['/access-requests', '/access-requests/:id'],
    permission: may.readRequests,
    element: lazy(() => import('../access_requests/ApprovalsPage')),
    nav: { title: 'access_requests.nav', icon: 'approvals' },
  },
  {
    paths: ['/devices'],
    permission: may.readDevices,
    element: lazy(() => import('../devices/DevicesPage')),
    nav: { title: 'devices.nav', icon: 'devices' },
  },
  {
    paths: ['/grants'],
    permission: may.readGrants,
    element: lazy(() => import('../grants/GrantsPage')),
    nav: { title: 'grants.nav', icon: 'grants' },
  },
  {
    paths: ['/sessions'],
    permission: may.readSessions,
    element: lazy(() => import('../sessions/SessionsPage')),
    nav: { title: 'sessions.nav', icon: 'sessions' },
  },
  {
    paths: ['/sessions/:id'],
    permission: may.readSessions,
    element: lazy(() => import('../sessions/SessionPage')),
  },
  {
    paths: ['/sessions/:id/live'],
    permission: may.watchSession,
    element: lazy(() => import('../sessions/LivePage')),
  },
  {
    paths: ['/recordings/:id'],
    permission: may.replayRecording,
    element: lazy(() => import('../recordings/ReplayPage')),
  },
  {
    paths: ['/retention'],
    permission: may.readRetention,
    element: lazy(() => import('../recordings/RetentionPage')),
    nav: { title: 'recordings.nav', icon: 'archive' },
  },
  {
    paths: ['/retention/recordings/:id'],
    permission: may.readRetention,
    element: lazy(() => import('../recordings/KeepingPage')),
  },
  {
    paths: ['/retention/purges/:id'],
    permission: may.readRetention,
    element: lazy(() => import('../recordings/PurgePage')),
  },
  {
    paths: ['/targets'],
    permission: may.readTargets,
    element: lazy(() => import('../targets/TargetsPage')),
    nav: { title: 'targets.nav', icon: 'targets' },
  },
  {
    paths: ['/targets/:id'],
    permission: may.readTargets,
    element: lazy(() => import('../targets/TargetPage')),
  },
  {
    paths: ['/people'],
    permission: may.readPeople,
    element: lazy(() => import('../identities/PeoplePage')),
    nav: { title: 'identities.nav', icon: 'people' },
  },
  {
    paths: ['/audit'],
    permission: may.readAudit,
    element: lazy(() => import('../audit/AuditPage')),
    nav: { title: 'audit.nav', icon: 'audit' },
  },
  {
    paths: ['/health'],
    permission: may.readHealth,
    element: lazy(() => import('../health/HealthPage')),
    nav: { title: 'health.nav', icon: 'health' },
  },
  {
    paths: ['/set-up'],
    permission: may.readHealth,
    element: lazy(() => import('../set_up/SetUpPage')),
    nav: { title: 'set_up.nav', icon: 'check', duringSetUp: true },
  },
]
