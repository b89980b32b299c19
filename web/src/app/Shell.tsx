/** The frame: header, navigation at the side or, on a phone, at the bottom; personal settings in one menu. */
import { App as AntApp, Button, Dropdown, type MenuProps } from 'antd'
import type { ReactNode } from 'react'
import { Link, NavLink, useNavigate } from 'react-router'

import { TrailAlarm } from '../audit/TrailAlarm'
import { useI18n } from './i18n/i18n'
import { Icon, Mark } from './icons'
import type { PageEntry } from './pages'
import { useSession } from './session'
import { useAppearance, type Appearance } from './theme'
import { usePhone } from './useMedia'

const TABS = 4

export function Shell({ pages, children }: { pages: PageEntry[]; children: ReactNode }) {
  const { t } = useI18n()
  const phone = usePhone()
  const entries = pages.filter((page) => page.nav)
  return (
    <div className="shell">
      <a className="skip" href="#content">
        {t('app.skip')}
      </a>
      <header className="bar">
        <Link to="/" className="brand">
          <Mark />
          <span>Sallyport</span>
        </Link>
        <span className="site">{window.location.hostname}</span>
        <PersonMenu />
      </header>
      {phone ? null : <SideNav entries={entries} />}
      <main id="content" tabIndex={-1}>
        <TrailAlarm />
        {children}
      </main>
      {phone && entries.length > 1 ? <TabBar entries={entries} /> : null}
    </div>
  )
}

function NavItem({ page, size }: { page: PageEntry; size: number }) {
  const { t } = useI18n()
  if (!page.nav) return null
  return (
    <NavLink to={page.paths[0] ?? '/'}>
      <Icon name={page.nav.icon} size={size} />
      <span>{t(page.nav.title)}</span>
    </NavLink>
  )
}

function SideNav({ entries }: { entries: PageEntry[] }) {
  const { t } = useI18n()
  return (
    <nav className="side" aria-label={t('app.pages')}>
      {entries.map((page) => (
        <NavItem key={page.paths[0]} page={page} size={18} />
      ))}
    </nav>
  )
}

function TabBar({ entries }: { entries: PageEntry[] }) {
  const { t } = useI18n()
  const navigate = useNavigate()
  const shown = entries.length > TABS + 1 ? entries.slice(0, TABS) : entries
  const hidden = entries.slice(shown.length)
  const items: MenuProps['items'] = hidden.map((page) => ({
    key: page.paths[0] ?? '/',
    label: page.nav ? t(page.nav.title) : '',
    icon: page.nav ? <Icon name={page.nav.icon} /> : null,
  }))
  return (
    <nav className="tabs" aria-label={t('app.pages')}>
      {shown.map((page) => (
        <NavItem key={page.paths[0]} page={page} size={22} />
      ))}
      {hidden.length > 0 ? (
        <Dropdown menu={{ items, onClick: ({ key }) => void navigate(key) }} trigger={['click']} placement="topRight">
          <button type="button" aria-haspopup="menu">
            <Icon name="more" size={22} />
            <span>{t('app.more_pages')}</span>
          </button>
        </Dropdown>
      ) : null}
    </nav>
  )
}

function PersonMenu() {
  const { t, tCode, tProblem, language } = useI18n()
  const { session, signOut, chooseLanguage } = useSession()
  const { appearance, setAppearance } = useAppearance()
  const { message } = AntApp.useApp()
  const phone = usePhone()
  const navigate = useNavigate()
  const person = session?.person
  if (!person) return null

  const leave = async () => {
    try {
      await signOut()
      await navigate('/')
    } catch (error) {
      message.error(tProblem(error))
    }
  }
  const items: MenuProps['items'] = [
    { type: 'group', key: 'who', label: `${person.display_name} · ${tCode('identities.role', person.role)}` },
    { type: 'divider' },
    { key: 'language:zh-CN', label: <span lang="zh-CN">{t('app.language.zh')}</span> },
    { key: 'language:en', label: <span lang="en">{t('app.language.en')}</span> },
    { type: 'divider' },
    { key: 'look:system', label: t('app.appearance.system') },
    { key: 'look:light', label: t('app.appearance.light') },
    { key: 'look:dark', label: t('app.appearance.dark') },
    { type: 'divider' },
    { key: 'leave', label: t('app.sign_out') },
  ]
  const chosen: NonNullable<MenuProps['onClick']> = ({ key }) => {
    const [what, value] = key.split(':')
    if (what === 'language') chooseLanguage(value === 'zh-CN' ? 'zh-CN' : 'en')
    else if (what === 'look') setAppearance(value as Appearance)
    else void leave()
  }
  return (
    <Dropdown
      menu={{ items, onClick: chosen, selectable: true, selectedKeys: [`language:${language}`, `look:${appearance}`] }}
      trigger={['click']}
      placement="bottomRight"
    >
      <Button type="text" className="person" aria-label={t('app.menu_of', { name: person.display_name })}>
        {phone ? null : <span>{person.display_name}</span>}
        <Icon name="menu" size={20} />
      </Button>
    </Dropdown>
  )
}
