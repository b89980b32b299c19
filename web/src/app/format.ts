/** Moments with their zone, lengths of time, sizes: all by Intl in the chosen language. */
import { useMemo } from 'react'

import { useI18n } from './i18n/i18n'

export interface Format {
  /** Date, time and zone. */
  moment: (at: string | null | undefined) => string
  /** Time of day with seconds and zone. */
  clock: (at: Date) => string
  /** From–to, naming the zone once. */
  range: (from: string, to: string) => string
  /** A length in its one or two largest units. */
  duration: (seconds: number) => string
  number: (value: number) => string
  bytes: (value: number) => string
}

const NOTHING = '–'

export function formatFor(language: string): Format {
  const day = new Intl.DateTimeFormat(language, {
    year: 'numeric',
    month: language === 'en' ? 'short' : 'numeric',
    day: 'numeric',
  })
  const minute = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
  const second = new Intl.DateTimeFormat(language, {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  })
  const zoned = new Intl.DateTimeFormat(language, { timeZoneName: 'short' })
  const zone = (at: Date) => zoned.formatToParts(at).find((part) => part.type === 'timeZoneName')?.value ?? ''
  const number = new Intl.NumberFormat(language)
  const unit = (value: number, name: string) =>
    new Intl.NumberFormat(language, { style: 'unit', unit: name, unitDisplay: 'short' }).format(value)
  return {
    moment: (at) => {
      if (!at) return NOTHING
      const date = new Date(at)
      return `${day.format(date)} ${minute.format(date)} ${zone(date)}`
    },
    clock: (at) => `${second.format(at)} ${zone(at)}`,
    range: (from, to) => {
      const [first, last] = [new Date(from), new Date(to)]
      const [firstDay, lastDay] = [day.format(first), day.format(last)]
      const end = firstDay === lastDay ? minute.format(last) : `${lastDay} ${minute.format(last)}`
      return `${firstDay} ${minute.format(first)} – ${end} ${zone(last)}`
    },
    duration: (seconds) => {
      const whole = Math.max(0, Math.round(seconds))
      const parts = [
        [Math.floor(whole / 86400), 'day'],
        [Math.floor(whole / 3600) % 24, 'hour'],
        [Math.floor(whole / 60) % 60, 'minute'],
        [whole % 60, 'second'],
      ] as const
      const first = parts.findIndex(([value]) => value > 0)
      if (first < 0) return unit(0, 'second')
      return parts
        .slice(first, first + 2)
        .filter(([value]) => value > 0)
        .map(([value, name]) => unit(value, name))
        .join(' ')
    },
    number: (value) => number.format(value),
    bytes: (value) => {
      if (value < 1024) return unit(value, 'byte')
      if (value < 1024 ** 2) return unit(Math.round(value / 1024), 'kilobyte')
      if (value < 1024 ** 3) return unit(Math.round(value / 1024 ** 2), 'megabyte')
      return unit(Math.round((value / 1024 ** 3) * 10) / 10, 'gigabyte')
    },
  }
}

export function useFormat(): Format {
  const { language } = useI18n()
  return useMemo(() => formatFor(language), [language])
}
