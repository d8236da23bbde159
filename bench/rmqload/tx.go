package main

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	codeEndTransaction  = 37
	sysFlagPrepared     = "4"
	sysFlagCommit       = "8"
	transactionProperty = "TRAN_MSG\x01true\x02PGROUP\x01"
)

// Transaction latency is counted from the send of the half message to the answer to its commit.
type txResult struct {
	Committed  int64         `json:"committed"`
	Seconds    float64       `json:"seconds"`
	PerSec     float64       `json:"tx_per_s"`
	Latency    summary       `json:"tx_latency"`
	Rejected   map[int]int64 `json:"rejected,omitempty"`
	Remark     string        `json:"remark,omitempty"`
	Total      int64         `json:"committed_total"` // with the warm-up
	ConnErrors []string      `json:"connection_errors,omitempty"`
}

// txConn runs transactions on one connection, inflight at a time: each slot sends a half message,
// commits it when that is acknowledged (and waits for the answer: official clients mostly do not),
// and begins the next one when the commit is.
type txConn struct {
	o       sendOptions
	index   int
	conn    *conn
	queues  []queue
	run     uint64
	next    uint64
	slots   []txSlot
	body    []byte
	out     []byte
	from    int64
	to      int64
	stopped *atomic.Bool

	committed, total, lastAck int64
	hist                      histogram
	errors                    map[int]int64
	remark                    string
	err                       error
}

type txSlot struct {
	began    int64
	isCommit bool
	key      string
}

// loop returns when all transactions that were begun have ended.
func (t *txConn) loop() {
	defer t.conn.Close()
	active := 0
	for k := range t.slots {
		t.begin(int32(k))
		active++
	}
	flush := func() error {
		if len(t.out) == 0 {
			return nil
		}
		_, err := t.conn.Write(t.out)
		t.out = t.out[:0]
		return err
	}
	var cmd command
	for active > 0 {
		if err := t.conn.readResponse(&cmd, flush); err != nil {
			t.err = err
			return
		}
		if cmd.opaque < 0 || int(cmd.opaque) >= len(t.slots) {
			t.err = fmt.Errorf("response to unknown request %d", cmd.opaque)
			return
		}
		slot := &t.slots[cmd.opaque]
		now := time.Now().UnixNano()
		if cmd.code != respSuccess {
			t.errors[cmd.code]++
			t.remark = printable(cmd.remark)
		} else if !slot.isCommit {
			if err := t.commit(cmd.opaque, slot, &cmd); err != nil {
				t.err = err
				return
			}
			continue
		} else {
			t.total++
			t.lastAck = now
			if now >= t.from && now < t.to {
				t.committed++
				t.hist.record(now - slot.began)
			}
		}
		if t.stopped.Load() || now >= t.to {
			active--
		} else {
			t.begin(cmd.opaque)
		}
	}
}

func (t *txConn) begin(k int32) {
	slot := &t.slots[k]
	now := time.Now().UnixNano()
	id := uint64(t.index)<<idShift | t.next
	t.next++
	fillPayload(t.body, t.run, id, now)
	slot.began, slot.isCommit, slot.key = now, false, uniqueKey(t.run, id)
	q := t.queues[int(t.next)%len(t.queues)]
	fields := []field{
		{"a", t.o.group}, {"b", t.o.topic}, {"c", "TBW102"}, {"d", "4"}, {"e", strconv.Itoa(q.id)}, {"f", sysFlagPrepared},
		{"g", strconv.FormatInt(now/1e6, 10)}, {"h", "0"}, {"i", slot.key + transactionProperty + t.o.group + "\x02"},
		{"j", "0"}, {"k", "false"}, {"m", "false"},
	}
	t.out = appendFrame(t.out, t.conn.ser, codeSendMessageV2, k, fields, t.body)
}

func (t *txConn) commit(k int32, slot *txSlot, cmd *command) error {
	slot.isCommit = true
	// The last 16 digits of the message id are the position in the broker's log.
	id := string(cmd.get("msgId"))
	if len(id) < 16 {
		return fmt.Errorf("message id %q", id)
	}
	position, err := strconv.ParseInt(id[len(id)-16:], 16, 64)
	if err != nil {
		return err
	}
	fields := []field{
		{"producerGroup", t.o.group}, {"topic", t.o.topic},
		{"tranStateTableOffset", strconv.FormatInt(cmd.getInt("queueOffset"), 10)},
		{"commitLogOffset", strconv.FormatInt(position, 10)},
		{"commitOrRollback", sysFlagCommit}, {"fromTransactionCheck", "false"},
		{"msgId", string(cmd.get("transactionId"))}, {"transactionId", string(cmd.get("transactionId"))},
	}
	t.out = appendFrame(t.out, t.conn.ser, codeEndTransaction, k, fields)
	return nil
}

// cmdTx runs transactions as fast as answers allow, then drains the topic: every committed message
// must be there once.
func cmdTx(a *app) (any, error) {
	queues, err := a.ensureTopic(a.send.topic, a.queues)
	if err != nil {
		return nil, err
	}
	o := a.send
	if o.size < payloadHeader || o.duration <= 0 {
		return nil, fmt.Errorf("tx needs --size of at least %d and a --duration", payloadHeader)
	}
	makeNoise(o.size)
	var stopped atomic.Bool
	from := time.Now().Add(o.warmup).UnixNano()
	var list []*txConn
	for i := 0; i < o.conns; i++ {
		c, err := dial(queues[0].addr, a.ser)
		if err != nil {
			return nil, err
		}
		if err := c.heartbeat(fmt.Sprintf("rmqload-tx@%d-%d", from, i), o.group, "", ""); err != nil {
			return nil, fmt.Errorf("heartbeat: %w", err)
		}
		list = append(list, &txConn{o: o, index: i, conn: c, queues: queues, run: uint64(from), body: make([]byte, o.size),
			slots: make([]txSlot, o.inflight), from: from, to: from + int64(o.duration), stopped: &stopped, errors: map[int]int64{}})
	}
	var wg sync.WaitGroup
	for _, t := range list {
		wg.Add(1)
		go func() {
			defer wg.Done()
			t.loop()
		}()
	}
	time.Sleep(o.warmup)
	m := startMeter(a.pids)
	time.Sleep(o.duration)
	usage := m.stop()
	wg.Wait()
	result := txResult{Seconds: round3(o.duration.Seconds()), Rejected: map[int]int64{}}
	var h histogram
	for _, t := range list {
		result.Committed += t.committed
		result.Total += t.total
		h.merge(&t.hist)
		for code, n := range t.errors {
			result.Rejected[code] += n
			result.Remark = t.remark
		}
		if t.err != nil {
			result.ConnErrors = append(result.ConnErrors, t.err.Error())
		}
	}
	result.PerSec = round1(float64(result.Committed) / o.duration.Seconds())
	result.Latency = h.summary()
	rx, err := newPullers(pullOptions{topic: a.pull.topic, group: a.pull.group, conns: 1, maxMsgs: a.pull.maxMsgs}, &a.cluster, queues)
	if err == nil {
		rx.begin()
		err = rx.wait()
	}
	var received pullResult
	if err == nil {
		received = rx.result()
		if received.Messages != result.Total || received.Duplicates > 0 {
			err = fmt.Errorf("%d transactions were committed, %d messages came, %d of them twice",
				result.Total, received.Messages, received.Duplicates)
		}
	}
	if err == nil && len(result.Rejected) > 0 {
		err = fmt.Errorf("requests were rejected: %v %s", result.Rejected, result.Remark)
	}
	return struct {
		setup
		txResult
		Received int64 `json:"received"`
		meterResult
	}{a.setup(), result, received.Messages, usage}, err
}
