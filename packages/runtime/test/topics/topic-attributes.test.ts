import { describe, expect, it } from 'vitest'
import { changeAttributes } from '../../src/broker/topics/topic-attributes.js'

describe('topic attributes', () => {
  it('adds, changes and removes', () => {
    const created = changeAttributes(undefined, '+message.type=FIFO,+reserve.time=3600')
    expect(created).toEqual({ 'message.type': 'FIFO', 'reserve.time': '3600' })
    const changed = changeAttributes(created, '+message.type=NORMAL,-reserve.time')
    expect(changed).toEqual({ 'message.type': 'NORMAL' })
    expect(created).toEqual({ 'message.type': 'FIFO', 'reserve.time': '3600' })
  })

  it('leaves everything as it is without changes', () => {
    expect(changeAttributes({ 'message.type': 'FIFO' }, undefined)).toEqual({ 'message.type': 'FIFO' })
    expect(changeAttributes(undefined, '')).toEqual({})
  })

  it('takes an unchangeable attribute again only as it is', () => {
    const known = { 'queue.type': 'SimpleCQ' }
    expect(changeAttributes(known, '+queue.type=SimpleCQ')).toEqual(known)
    for (const change of ['+queue.type=BatchCQ', '-queue.type'])
      expect(() => changeAttributes(known, change)).toThrow('unchangeable')
  })

  it.each(['+foo=bar', '+__proto__=1', '-toString', '+message.type', '-message.type=FIFO', 'x', '+message.type=OTHER'])(
    'refuses %s',
    changes => {
      expect(() => changeAttributes(undefined, changes)).toThrow()
    },
  )
})
