/** Light and dark, the component library's tokens, and its language. */
import { App as AntApp, ConfigProvider, theme as antTheme, type ThemeConfig } from 'antd'
import en from 'antd/locale/en_US'
import zh from 'antd/locale/zh_CN'
import { createContext, use, useLayoutEffect, useMemo, useState, type ReactNode } from 'react'

import { nonce } from './csp'
import { useI18n } from './i18n/i18n'
import { useMedia } from './useMedia'

export type Appearance = 'system' | 'light' | 'dark'

const STORED = 'sallyport.appearance'
const FONT =
  'system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", ' +
  '"Noto Sans SC", "WenQuanYi Zen Hei", sans-serif'
const MONO = 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace'

// Without motion: a leaving animation that never ends would keep hidden icons, and their names, in the page.
const common = { motion: false, fontFamily: FONT, fontFamilyCode: MONO, borderRadius: 6, controlHeight: 36, fontSize: 14 }
const light: ThemeConfig = {
  algorithm: antTheme.defaultAlgorithm,
  token: {
    ...common,
    colorPrimary: '#0d5b6b',
    colorPrimaryHover: '#127086',
    colorPrimaryBg: '#e2eff1',
    controlItemBgActive: '#e2eff1',
    controlItemBgActiveHover: '#d3e7ea',
    colorError: '#b42318',
    colorErrorHover: '#c43226',
    colorLink: '#0d5b6b',
    colorTextPlaceholder: '#667078',
    colorTextDescription: '#55606a',
    colorBgLayout: '#f4f6f7',
  },
}
const dark: ThemeConfig = {
  algorithm: antTheme.darkAlgorithm,
  token: {
    ...common,
    colorPrimary: '#23788a',
    colorPrimaryHover: '#26798b',
    colorPrimaryBg: '#16343b',
    controlItemBgActive: '#16343b',
    controlItemBgActiveHover: '#1c424b',
    colorError: '#d6453a',
    colorErrorHover: '#c2453a',
    colorLink: '#7cc7d6',
    colorTextPlaceholder: '#9aa5ad',
    colorTextDescription: '#a9b4bc',
    colorBgLayout: '#0c1114',
    colorBgContainer: '#151c20',
    colorBgElevated: '#1b2429',
    colorBorder: '#3d4a51',
    colorBorderSecondary: '#2c373d',
  },
}

interface AppearanceState {
  appearance: Appearance
  setAppearance: (appearance: Appearance) => void
}
const Context = createContext<AppearanceState | undefined>(undefined)

function stored(): Appearance {
  const value = localStorage.getItem(STORED)
  return value === 'light' || value === 'dark' ? value : 'system'
}

export function ThemeProvider({ children }: { children: ReactNode }) {
  const { language } = useI18n()
  const [appearance, choose] = useState<Appearance>(stored)
  const darkSystem = useMedia('(prefers-color-scheme: dark)')
  const isDark = appearance === 'dark' || (appearance === 'system' && darkSystem)
  useLayoutEffect(() => {
    document.documentElement.dataset.theme = isDark ? 'dark' : 'light'
  }, [isDark])
  const value = useMemo(
    () => ({
      appearance,
      setAppearance: (next: Appearance) => {
        localStorage.setItem(STORED, next)
        choose(next)
      },
    }),
    [appearance],
  )
  return (
    <Context value={value}>
      <ConfigProvider
        csp={nonce ? { nonce } : {}}
        locale={language === 'zh-CN' ? zh : en}
        theme={isDark ? dark : light}
        button={{ autoInsertSpace: false }}
        form={{ requiredMark: false }}
        wave={{ disabled: true }}
      >
        <AntApp component={false} message={{ maxCount: 2, duration: 4 }}>
          {children}
        </AntApp>
      </ConfigProvider>
    </Context>
  )
}

export function useAppearance(): AppearanceState {
  const value = use(Context)
  if (!value) throw new Error('useAppearance outside of ThemeProvider')
  return value
}
