package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Request and response codes of pop consumption.
const (
	codePopMessage     = 200050
	codeAckMessage     = 200051
	respPollingFull    = 209
	respPollingTimeout = 210
)

const (
	popInvisible = 60 * time.Second
	popHold      = 2 * time.Second
	// popWarm is the part of the messages that is popped before anything is measured.
	popWarm = 0.25
	// ackOpaque is where the opaque numbers of acknowledgements begin; those of pops are below.
	ackOpaque = 1000
	// acksMax is how many acknowledgements of a connection may be on their way while it pops on.
	acksMax = 256
	// popPatience is how long nothing may come before the run is given up.
	popPatience = 20 * time.Second
)

// popper is one connection that pops any queue of a topic and acknowledges every message with a
// request of its own, like the official consumers.
type popper struct {
	all     *poppers
	conn    *conn
	broker  string
	idle    []int32 // pops that may be sent again
	unacked int
	next    int32
	out     []byte
}

type poppers struct {
	app     *app
	check   *checker
	popped  atomic.Int64
	acked   atomic.Int64
	pops    atomic.Int64
	total   int64
	warm    chan struct{}
	done    chan struct{}
	warmAt  int64
	stopped atomic.Bool
}

type popResult struct {
	Command string  `json:"command"`
	Label   string  `json:"label,omitempty"`
	Conns   int     `json:"connections"`
	Acked   int64   `json:"acked"`
	Pops    int64   `json:"pops"`
	Seconds float64 `json:"seconds"`
	PerSec  float64 `json:"msgs_per_s"`
	checkResult
	meterResult
}

// cmdPop pops everything that the topic holds and acknowledges it, message by message. It measures
// what comes after the first quarter, and fails if a message comes twice or not at all.
func cmdPop(a *app) (any, error) {
	queues, err := a.ensureTopic(a.send.topic, a.queues)
	if err != nil {
		return nil, err
	}
	all := &poppers{app: a, check: newChecker(), warm: make(chan struct{}), done: make(chan struct{})}
	list := make([]*popper, a.send.conns)
	for i := range list {
		q := queues[i%len(queues)]
		c, err := dial(q.addr, a.ser)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		list[i] = &popper{all: all, conn: c, broker: q.broker}
		if err := c.heartbeat(fmt.Sprintf("rmqload@%x-%d", time.Now().UnixNano(), i), "", a.send.group, a.send.topic); err != nil {
			return nil, fmt.Errorf("heartbeat: %w", err)
		}
	}
	for _, q := range queues {
		end, err := list[0].conn.offset(codeGetMaxOffset, a.send.topic, q)
		if err != nil {
			return nil, err
		}
		all.total += end
	}
	if all.total == 0 {
		return nil, fmt.Errorf("topic %s is empty", a.send.topic)
	}
	all.warmAt = int64(float64(all.total) * popWarm)
	errs := make(chan error, len(list))
	for _, p := range list {
		go func() { errs <- p.run() }()
	}
	wait := func(until chan struct{}) error {
		for last := int64(-1); ; {
			select {
			case <-until:
				return nil
			case err := <-errs:
				if err != nil {
					return err
				}
			case <-time.After(popPatience):
				if now := all.acked.Load(); now == last {
					return fmt.Errorf("%d of %d messages were popped and acknowledged, then none for %v", now, all.total, popPatience)
				} else {
					last = now
				}
			}
		}
	}
	if err := wait(all.warm); err != nil {
		return nil, err
	}
	from := all.acked.Load()
	m := startMeter(a.pids)
	began := time.Now()
	err = wait(all.done)
	took := time.Since(began).Seconds()
	usage := m.stop()
	all.stopped.Store(true)
	acked := all.acked.Load()
	check := all.check.result()
	if err == nil && check.Corrupt+check.BadStoreCRC+check.Duplicates > 0 {
		err = fmt.Errorf("%d corrupt messages, %d came twice", check.Corrupt+check.BadStoreCRC, check.Duplicates)
	}
	return popResult{a.command, a.label, len(list), acked, all.pops.Load(), round3(took),
		round1(float64(acked-from) / took), check, usage}, err
}

func (p *popper) run() error {
	inflight := max(1, min(p.all.app.send.inflight, ackOpaque))
	for i := 0; i < inflight; i++ {
		p.idle = append(p.idle, int32(i))
	}
	p.popMore()
	flush := func() error {
		if len(p.out) == 0 {
			return nil
		}
		_, err := p.conn.Write(p.out)
		p.out = p.out[:0]
		return err
	}
	var cmd command
	for {
		if err := p.conn.readResponse(&cmd, flush); err != nil {
			if p.all.stopped.Load() {
				return nil
			}
			return err
		}
		if cmd.opaque >= ackOpaque {
			if cmd.code != respSuccess {
				return &responseError{codeAckMessage, cmd.code, printable(cmd.remark)}
			}
			p.unacked--
			p.all.count()
		} else {
			p.idle = append(p.idle, cmd.opaque)
			switch cmd.code {
			case respSuccess:
				if err := p.take(&cmd); err != nil {
					return err
				}
			case respPollingTimeout, respPollingFull, respPullNotFound:
			default:
				return &responseError{codePopMessage, cmd.code, printable(cmd.remark)}
			}
		}
		p.popMore()
	}
}

// count notes one acknowledged message.
func (all *poppers) count() {
	switch n := all.acked.Add(1); n {
	case all.warmAt:
		close(all.warm)
	case all.total:
		all.stopped.Store(true)
		close(all.done)
	}
}

func (p *popper) popMore() {
	for len(p.idle) > 0 && p.unacked < acksMax && !p.all.stopped.Load() {
		last := len(p.idle) - 1
		opaque := p.idle[last]
		p.idle = p.idle[:last]
		a := p.all.app
		p.all.pops.Add(1)
		p.out = appendFrame(p.out, p.conn.ser, codePopMessage, opaque, []field{
			{"consumerGroup", a.send.group}, {"topic", a.send.topic}, {"queueId", "-1"},
			{"maxMsgNums", strconv.Itoa(min(32, a.pull.maxMsgs))},
			{"invisibleTime", strconv.FormatInt(popInvisible.Milliseconds(), 10)},
			{"pollTime", strconv.FormatInt(popHold.Milliseconds(), 10)},
			{"bornTime", strconv.FormatInt(time.Now().UnixMilli(), 10)},
			{"initMode", "0"}, {"expType", "TAG"}, {"exp", "*"}, {"order", "false"},
		})
	}
}

// take checks the messages of one pop and sends an acknowledgement for each.
func (p *popper) take(cmd *command) error {
	starts := map[int32]string{}
	for _, entry := range strings.Split(string(cmd.get("startOffsetInfo")), ";") {
		part := strings.Fields(entry)
		if len(part) != 3 || part[0] != "0" {
			return fmt.Errorf("startOffsetInfo entry %q: a retried message, or none that is known", entry)
		}
		id, _ := strconv.Atoi(part[1])
		starts[int32(id)] = part[2]
	}
	tail := " " + string(cmd.get("popTime")) + " " + string(cmd.get("invisibleTime")) + " " +
		string(cmd.get("reviveQid")) + " 0 " + p.broker + " "
	a := p.all.app
	n, err := p.all.check.batch(cmd.body, -1, func(m *storedMessage, _, _ uint64, _ int64) {
		id, offset := strconv.Itoa(int(m.queueID)), strconv.FormatInt(m.queueOffset, 10)
		p.next++
		p.out = appendFrame(p.out, p.conn.ser, codeAckMessage, ackOpaque+p.next, []field{
			{"consumerGroup", a.send.group}, {"topic", a.send.topic}, {"queueId", id},
			{"extraInfo", starts[m.queueID] + tail + id + " " + offset}, {"offset", offset},
		})
	})
	p.unacked += n
	p.all.popped.Add(int64(n))
	return err
}
