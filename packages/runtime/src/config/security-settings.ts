import { flag, pattern, text } from './setting.js'

const CODES = /^(\s*\d+\s*(,\s*\d+\s*)*)?$/
const SECRET = { isSecret: true } as const

/** Who may do what, under the names of RocketMQ's AuthConfig; authKeyFile and aclFile are ours. */
export const securitySettings = {
  authenticationEnabled: flag(
    false,
    'Serves only requests that a user has signed. Needs a user: initAuthenticationUser.',
  ),
  authorizationEnabled: flag(false, 'Lets users do only what policies allow. Needs authenticationEnabled.'),
  initAuthenticationUser: text(
    '',
    'Super user that is created at start unless it exists, as {"username":"…","password":"…"}.',
    SECRET,
  ),
  innerClientAuthenticationCredentials: text(
    '',
    'What the broker signs its own requests to nameservers with, as {"accessKey":"…","secretKey":"…"}; also created as a super user unless it exists.',
    SECRET,
  ),
  authenticationWhitelist: pattern(
    '',
    CODES,
    'request codes joined by ,',
    'Request codes that need no signature, such as 105,106.',
  ),
  authorizationWhitelist: pattern('', CODES, 'request codes joined by ,', 'Request codes that every user may send.'),
  migrateAuthFromV1Enabled: flag(false, 'Creates users and policies from the accounts in aclFile, unless they exist.'),
  aclEnable: flag(false, 'Serves only requests that the accounts in aclFile allow (ACL 1.0).'),
  aclFile: text(
    '',
    'Accounts of ACL 1.0; empty means "conf/plain_acl.yml" under storePathRootDir. Changes are noticed.',
  ),
  authKeyFile: text(
    '',
    'Key that protects the secrets of users; empty means "security.key" under storePathRootDir. It is made when it is needed.',
  ),
} as const
