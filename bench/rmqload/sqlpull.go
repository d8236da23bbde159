package main

import (
	"fmt"
	"strconv"
	"sync"
	"time"
)

// What sql-pull stores and asks for: one message in twenty matches.
const (
	sqlNumbers    = 100
	sqlExpression = "n BETWEEN 30 AND 39 AND color <> 'red'"
	sqlBatch      = 64
)

func sqlColor(n int) string {
	if n%2 == 0 {
		return "red"
	}
	return "blue"
}

func sqlMatches(n int) bool { return n >= 30 && n <= 39 && n%2 != 0 }

// sqlResult is the result line: examined counts the messages that the broker had to decide about.
type sqlResult struct {
	Command string  `json:"command"`
	Label   string  `json:"label,omitempty"`
	Conns   int     `json:"connections"`
	Stored  int64   `json:"stored"`
	Matched int64   `json:"matched"`
	Drains  int64   `json:"drains"`
	Seconds float64 `json:"seconds"`
	PerSec  float64 `json:"examined_per_s"`
	meterResult
}

// cmdSQLPull stores --count messages with properties, then drains the topic again and again with a
// property filter until --duration has passed, one connection per queue. The subscription comes by
// heartbeat, as from the official consumers. Every drain must bring exactly what matches.
func cmdSQLPull(a *app) (any, error) {
	if a.send.count == 0 {
		a.send.count = 100_000
	}
	queues, err := a.ensureTopic(a.send.topic, a.queues)
	if err != nil {
		return nil, err
	}
	perQueue := int(a.send.count) / len(queues) / sqlBatch * sqlBatch
	if perQueue == 0 {
		return nil, fmt.Errorf("--count must be at least %d", sqlBatch*len(queues))
	}
	want := 0
	for i := 0; i < perQueue; i++ {
		if sqlMatches(i % sqlNumbers) {
			want++
		}
	}
	makeNoise(max(a.send.size, payloadHeader))
	pullers := make([]*sqlPuller, len(queues))
	err = inParallel(len(queues), func(i int) error {
		p, err := newSQLPuller(a, queues[i], i)
		if err != nil {
			return err
		}
		pullers[i] = p
		return p.fill(a, perQueue, uint64(i))
	})
	if err != nil {
		return nil, err
	}
	drainAll := func(d time.Duration) (drains int64, err error) {
		for end := time.Now().Add(d); drains == 0 || time.Now().Before(end); drains++ {
			err = inParallel(len(pullers), func(i int) error {
				got, err := pullers[i].drain(a)
				if err == nil && got != want {
					err = fmt.Errorf("queue %d: %d messages came, %d match", queues[i].id, got, want)
				}
				return err
			})
			if err != nil {
				return drains, err
			}
		}
		return drains, nil
	}
	if a.send.warmup > 0 {
		if _, err = drainAll(a.send.warmup); err != nil {
			return nil, err
		}
	}
	m := startMeter(a.pids)
	began := time.Now()
	drains, err := drainAll(a.pullFor)
	took := time.Since(began).Seconds()
	usage := m.stop()
	stored := int64(perQueue * len(queues))
	return sqlResult{a.command, a.label, len(pullers), stored, drains * int64(want*len(queues)), drains,
		round3(took), round1(float64(drains*stored) / took), usage}, err
}

func inParallel(n int, run func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = run(i)
		}()
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

type sqlPuller struct {
	queue
	conn  *conn
	start int64
}

func newSQLPuller(a *app, q queue, index int) (*sqlPuller, error) {
	c, err := dial(q.addr, a.ser)
	if err != nil {
		return nil, err
	}
	body := fmt.Sprintf(`{"clientID":"rmqload@sql-%x-%d","producerDataSet":[],"consumerDataSet":[{"groupName":"%s",`+
		`"consumeType":"CONSUME_ACTIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET",`+
		`"unitMode":false,"subscriptionDataSet":[{"topic":"%s","subString":"%s","expressionType":"SQL92",`+
		`"classFilterMode":false,"tagsSet":[],"codeSet":[],"subVersion":1}]}],"heartbeatFingerprint":0,"withoutSub":false}`,
		time.Now().UnixNano(), index, a.send.group, a.send.topic, sqlExpression)
	var cmd command
	if err := c.callOK(&cmd, codeHeartBeat, nil, []byte(body)); err != nil {
		return nil, fmt.Errorf("heartbeat: %w", err)
	}
	start, err := c.offset(codeGetMaxOffset, a.send.topic, q)
	return &sqlPuller{q, c, start}, err
}

// fill stores count messages in batches.
func (p *sqlPuller) fill(a *app, count int, run uint64) error {
	body := make([]byte, max(a.send.size, payloadHeader))
	for at := 0; at < count; at += sqlBatch {
		var batch []byte
		for i := at; i < at+sqlBatch; i++ {
			n := i % sqlNumbers
			fillPayload(body, run, uint64(i), time.Now().UnixNano())
			batch = appendBatchItem(batch, body,
				fmt.Sprintf("n\x01%d\x02color\x01%s\x02%s", n, sqlColor(n), uniqueKey(run, uint64(i))))
		}
		var cmd command
		err := p.conn.callOK(&cmd, codeSendBatchMessage, []field{
			{"a", "rmqload"}, {"b", a.send.topic}, {"c", "TBW102"}, {"d", "4"}, {"e", strconv.Itoa(p.id)}, {"f", "0"},
			{"g", strconv.FormatInt(time.Now().UnixMilli(), 10)}, {"h", "0"}, {"i", ""}, {"j", "0"}, {"k", "false"},
			{"m", "true"},
		}, batch)
		if err != nil {
			return err
		}
	}
	return nil
}

// drain pulls the queue from its start to its end and returns how many messages came.
func (p *sqlPuller) drain(a *app) (int, error) {
	got := 0
	for offset := p.start; ; {
		var cmd command
		err := p.conn.call(&cmd, codePullMessage, []field{
			{"consumerGroup", a.send.group}, {"topic", a.send.topic}, {"queueId", strconv.Itoa(p.id)},
			{"queueOffset", strconv.FormatInt(offset, 10)}, {"maxMsgNums", strconv.Itoa(a.pull.maxMsgs)}, {"sysFlag", "0"},
			{"commitOffset", "0"}, {"suspendTimeoutMillis", "0"}, {"subVersion", "1"}, {"expressionType", "SQL92"},
		}, nil)
		if err != nil {
			return got, err
		}
		next := cmd.getInt("nextBeginOffset")
		switch cmd.code {
		case respSuccess:
			err = forEachMessage(cmd.body, func(m *storedMessage) error {
				got++
				_, id, _, ok := readPayload(m.body)
				if !ok || !sqlMatches(int(id)%sqlNumbers) {
					return fmt.Errorf("message at offset %d does not match", m.queueOffset)
				}
				return nil
			})
			if err != nil {
				return got, err
			}
		case respPullRetry:
		case respPullNotFound:
			return got, nil
		default:
			return got, &responseError{codePullMessage, cmd.code, printable(cmd.remark)}
		}
		if next <= offset {
			return got, fmt.Errorf("queue %d: from offset %d to %d", p.id, offset, next)
		}
		offset = next
	}
}
