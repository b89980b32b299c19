/** All user texts. English defines the keys; the types refuse a Chinese file that lacks one of them. */
import accessRequestsEn from '../../access_requests/texts.en.json'
import accessRequestsZh from '../../access_requests/texts.zh-CN.json'
import auditEn from '../../audit/texts.en.json'
import auditZh from '../../audit/texts.zh-CN.json'
import devicesEn from '../../devices/texts.en.json'
import devicesZh from '../../devices/texts.zh-CN.json'
import grantsEn from '../../grants/texts.en.json'
import grantsZh from '../../grants/texts.zh-CN.json'
import healthEn from '../../health/texts.en.json'
import healthZh from '../../health/texts.zh-CN.json'
import identitiesEn from '../../identities/texts.en.json'
import identitiesZh from '../../identities/texts.zh-CN.json'
import recordingsEn from '../../recordings/texts.en.json'
import recordingsZh from '../../recordings/texts.zh-CN.json'
import sessionsEn from '../../sessions/texts.en.json'
import sessionsZh from '../../sessions/texts.zh-CN.json'
import setUpEn from '../../set_up/texts.en.json'
import setUpZh from '../../set_up/texts.zh-CN.json'
import targetsEn from '../../targets/texts.en.json'
import targetsZh from '../../targets/texts.zh-CN.json'
import vaultEn from '../../vault/texts.en.json'
import vaultZh from '../../vault/texts.zh-CN.json'
import appEn from '../texts.en.json'
import appZh from '../texts.zh-CN.json'

const en = {
  ...appEn,
  ...accessRequestsEn,
  ...auditEn,
  ...devicesEn,
  ...grantsEn,
  ...healthEn,
  ...identitiesEn,
  ...recordingsEn,
  ...sessionsEn,
  ...setUpEn,
  ...targetsEn,
  ...vaultEn,
}
const zh: typeof en = {
  ...appZh,
  ...accessRequestsZh,
  ...auditZh,
  ...devicesZh,
  ...grantsZh,
  ...healthZh,
  ...identitiesZh,
  ...recordingsZh,
  ...sessionsZh,
  ...setUpZh,
  ...targetsZh,
  ...vaultZh,
}

export type Key = keyof typeof en
export type Language = 'en' | 'zh-CN'
export const texts: Record<Language, Record<Key, string>> = { en, 'zh-CN': zh }
