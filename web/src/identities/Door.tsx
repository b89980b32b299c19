/** The frame of the pages before sign-in: one card, with the language to choose. */
import { Button } from 'antd'
import type { ReactNode } from 'react'

import { useI18n } from '../app/i18n/i18n'
import { Mark } from '../app/icons'

export function Door({ title, lead, children }: { title: string; lead?: ReactNode; children: ReactNode }) {
  const { t, language, setLanguage } = useI18n()
  const other = language === 'en' ? 'zh-CN' : 'en'
  return (
    <div className="door">
      <main>
        <div className="door-head">
          <Mark size={34} />
          <span>Sallyport</span>
          <Button type="link" size="small" lang={other} onClick={() => setLanguage(other)}>
            {t(other === 'en' ? 'app.language.en' : 'app.language.zh')}
          </Button>
        </div>
        <h1>{title}</h1>
        {lead ? <p className="lead">{lead}</p> : null}
        {children}
      </main>
    </div>
  )
}
