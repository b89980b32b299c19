/** A list of records: a table where there is room, one card a record on a phone. */
import { Button, Input, Spin } from 'antd'
import { useEffect, useState, type ReactNode } from 'react'

import type { List } from './data'
import { useI18n } from './i18n/i18n'
import { Icon } from './icons'
import { Refusal } from './parts'
import { usePhone } from './useMedia'

export interface Column<T> {
  title: string
  /** The first column names the record: it heads the card. A column without a title holds the actions. */
  render: (row: T) => ReactNode
  /** Not shown on a phone's card. */
  wide?: boolean
}

interface Props<T> {
  label: string
  list: List<T>
  columns: Column<T>[]
  rowKey: (row: T) => string
  empty: ReactNode
  /** What of a row can be searched for; without it there is no search. */
  search?: (row: T) => (string | null | undefined)[]
}

/** So many records are fetched for a search at most. */
const MOST_SEARCHED = 2_000
/** As few are seen at a glance. */
const FEW = 8

export function DataList<T>({ label, list, columns, rowKey, empty, search }: Props<T>) {
  const { t } = useI18n()
  const phone = usePhone()
  const [words, setWords] = useState('')
  const wanted = words.trim().toLowerCase()
  const { more, loadingMore } = list
  const fetchesAll = wanted !== '' && more !== undefined && !loadingMore && list.items.length < MOST_SEARCHED
  useEffect(() => {
    if (fetchesAll) more?.()
  }, [fetchesAll, more])
  if (list.loading) return <Loading />
  const items = wanted && search ? list.items.filter((row) => search(row).some((text) => text?.toLowerCase().includes(wanted))) : list.items
  const inner = { label, items, columns, rowKey }
  return (
    <>
      <Refusal error={list.error} />
      {search && (list.items.length > FEW || words !== '') ? (
        <Input
          className="search"
          allowClear
          prefix={<Icon name="search" size={16} />}
          aria-label={t('app.search_in', { list: label })}
          placeholder={t('app.search')}
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
      ) : null}
      {items.length === 0 && !list.error ? <p className="empty">{wanted ? t('app.none_found') : empty}</p> : null}
      {items.length > 0 && (phone ? <Cards {...inner} /> : <Table {...inner} />)}
      {list.more ? (
        <p className="center">
          <Button onClick={list.more} loading={list.loadingMore}>
            {t('app.more')}
          </Button>
        </p>
      ) : null}
    </>
  )
}

export function Loading() {
  const { t } = useI18n()
  return (
    <div className="loading" role="status" aria-label={t('app.loading')}>
      <Spin />
    </div>
  )
}

interface Inner<T> extends Pick<Props<T>, 'label' | 'columns' | 'rowKey'> {
  items: T[]
}

function Table<T>({ label, items, columns, rowKey }: Inner<T>) {
  return (
    <div className="table-frame" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {columns.map((column, index) =>
              column.title ? (
                <th key={index} scope="col">
                  {column.title}
                </th>
              ) : (
                <td key={index} />
              ),
            )}
          </tr>
        </thead>
        <tbody>
          {items.map((row) => (
            <tr key={rowKey(row)}>
              {columns.map((column, index) => (
                <td key={index} className={column.title ? undefined : 'actions'}>
                  {column.render(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Cards<T>({ label, items, columns, rowKey }: Inner<T>) {
  const [head, ...rest] = columns
  const facts = rest.filter((column) => column.title && !column.wide)
  const actions = rest.filter((column) => !column.title)
  return (
    <ul className="cards" aria-label={label}>
      {items.map((row) => (
        <li key={rowKey(row)}>
          <h2>{head?.render(row)}</h2>
          <dl className="facts">
            {facts.map((column) => (
              <div key={column.title}>
                <dt>{column.title}</dt>
                <dd>{column.render(row)}</dd>
              </div>
            ))}
          </dl>
          {actions.map((column, index) => (
            <div key={index} className="actions">
              {column.render(row)}
            </div>
          ))}
        </li>
      ))}
    </ul>
  )
}
