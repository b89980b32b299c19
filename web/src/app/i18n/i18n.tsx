/** The chosen language, and `t` to speak it. Before sign-in it follows the browser, after sign-in the person. */
import { createContext, use, useCallback, useLayoutEffect, useMemo, useState, type ReactNode } from 'react'

import { asProblem, type Parameters } from '../problem'
import { texts, type Key, type Language } from './texts'

interface I18n {
  language: Language
  setLanguage: (language: Language) => void
  /** The text of a key, with `{name}` replaced by `params.name`. */
  t: (key: Key, params?: Parameters) => string
  /** The text of a code that came from the server, or `otherwise` (default: the code itself) for one unknown here. */
  tCode: (prefix: string, code: string, params?: Parameters, otherwise?: string) => string
  /** The same for a code that names its domain: `devices.x` of the kind `notice` is the text `devices.notice.x`. */
  tNamed: (kind: string, code: string, params?: Parameters, otherwise?: string) => string
  /** The text of an error: by its code, else the server's own words. */
  tProblem: (error: unknown) => string
}

const STORED = 'sallyport.language'
const Context = createContext<I18n | undefined>(undefined)

export function asLanguage(value: string | null | undefined): Language {
  return value?.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en'
}

function fill(text: string, params: Parameters): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in params ? String(params[name]) : whole))
}

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, choose] = useState<Language>(() => asLanguage(localStorage.getItem(STORED) ?? navigator.language))
  const setLanguage = useCallback((next: Language) => {
    localStorage.setItem(STORED, next)
    choose(next)
  }, [])
  useLayoutEffect(() => {
    document.documentElement.lang = language
  }, [language])
  const value = useMemo<I18n>(() => {
    const all = texts[language]
    const tCode: I18n['tCode'] = (prefix, code, params = {}, otherwise = code) => {
      const text = (all as Record<string, string | undefined>)[`${prefix}.${code}`]
      return text === undefined ? otherwise : fill(text, params)
    }
    const tNamed: I18n['tNamed'] = (kind, code, params, otherwise = code) => {
      const dot = code.indexOf('.')
      const domain = dot < 0 ? 'app' : code.slice(0, dot)
      return tCode(`${domain}.${kind}`, code.slice(dot + 1), params, otherwise)
    }
    return {
      language,
      setLanguage,
      t: (key, params = {}) => fill(all[key], params),
      tCode,
      tNamed,
      tProblem: (error) => {
        const problem = asProblem(error)
        return tNamed('problem', problem.code, problem.params, problem.detail || problem.code)
      },
    }
  }, [language, setLanguage])
  return <Context value={value}>{children}</Context>
}

export function useI18n(): I18n {
  const value = use(Context)
  if (!value) throw new Error('useI18n outside of LanguageProvider')
  return value
}
