/** Looking back and coming back: from the beginning, playing, the line of time, and the living end. */
import { Button } from 'antd'

import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import type { Show } from './useShow'

interface Props {
  show: Show
  began: number | undefined
  isOver: boolean
}

export function Reel({ show, began, isOver }: Props) {
  const { t } = useI18n()
  const format = useFormat()
  const { film, view, at } = show
  const when = (ms: number) => (began === undefined ? format.duration(ms / 1000) : format.clock(new Date(began + ms)))
  const atEnd = view === 'live'
  return (
    <div className="reel">
      <input
        type="range"
        aria-label={t('sessions.look_back')}
        aria-valuetext={when(at)}
        min={film.from}
        max={Math.max(film.to, film.from + 1)}
        value={at}
        onChange={(event) => show.lookAt(Number(event.target.value))}
      />
      <div className="row">
        <Button icon={<Icon name="begin" />} onClick={() => show.play(film.from)}>
          {t('sessions.from_beginning')}
        </Button>
        {view === 'paused' ? (
          <Button icon={<Icon name="play" />} onClick={() => show.play()}>
            {t('sessions.play')}
          </Button>
        ) : (
          <Button icon={<Icon name="pause" />} onClick={show.pause}>
            {t('sessions.pause')}
          </Button>
        )}
        <Button type={atEnd ? 'default' : 'primary'} icon={<Icon name="live" />} disabled={atEnd} onClick={show.goLive}>
          {t(isOver ? 'sessions.to_end' : 'sessions.to_live')}
        </Button>
        <span className="clock" data-view={view}>
          <span className="muted">{t(atEnd ? (isOver ? 'sessions.at_end' : 'sessions.at_live') : 'sessions.looking_back')}</span>{' '}
          <strong>{when(at)}</strong>
        </span>
      </div>
      {film.base > 0 ? <p className="muted">{t('sessions.look_back_reaches', { at: when(film.from) })}</p> : null}
    </div>
  )
}
