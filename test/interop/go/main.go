// The official Go client, driven by the interop suite: send, consume and create; ../README.md has the contract.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

func main() {
	rlog.SetLogLevel("error")
	commands := map[string]func(args []string) error{"send": send, "consume": consume, "create": create, "feature": feature}
	run, ok := commands[os.Args[1]]
	if !ok {
		fail(fmt.Errorf("no such command: %s", os.Args[1]))
	}
	if err := run(os.Args[2:]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "interop:", err)
	os.Exit(1)
}

// line is one message in the files that the suite compares.
type line struct {
	Hash     string `json:"hash"`
	Tags     string `json:"tags"`
	Keys     string `json:"keys"`
	Shade    string `json:"shade"`
	ID       string `json:"id,omitempty"`
	OffsetID string `json:"offsetId,omitempty"`
	Queue    int    `json:"queue"`
	Offset   int64  `json:"offset"`
	StoredAt int64  `json:"storedAt,omitempty"`
	Attempt  int32  `json:"attempt"`
}

type lines struct {
	mu  sync.Mutex
	out *os.File
}

func createLines(name string) (*lines, error) {
	out, err := os.Create(name)
	return &lines{out: out}, err
}

func (l *lines) write(m *primitive.Message, to line) {
	to.Hash = fmt.Sprintf("%x", sha256.Sum256(m.Body))
	to.Tags, to.Keys, to.Shade = m.GetTags(), m.GetKeys(), m.GetProperty("shade")
	text, _ := json.Marshal(to)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.out.Write(append(text, '\n')); err != nil {
		fail(err)
	}
}

// create NAMESRV BROKER TOPIC QUEUES
func create(args []string) error {
	a, err := admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{args[0]})))
	if err != nil {
		return err
	}
	queues, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	err = a.CreateTopic(context.Background(), admin.WithTopicCreate(args[2]), admin.WithBrokerAddrCreate(args[1]),
		admin.WithReadQueueNums(queues), admin.WithWriteQueueNums(queues))
	if err != nil {
		return err
	}
	return a.Close()
}

type sending struct {
	p      rocketmq.Producer
	topic  string
	out    *lines
	random *rand.Rand
	number int
}

// send NAMESRV TOPIC GROUP COUNT OUT
func send(args []string) error {
	count, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	out, err := createLines(args[4])
	if err != nil {
		return err
	}
	p, err := rocketmq.NewProducer(producer.WithNameServer([]string{args[0]}), producer.WithGroupName(args[2]),
		producer.WithSendMsgTimeout(20*time.Second), producer.WithRetry(2))
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	s := &sending{p: p, topic: args[1], out: out, random: rand.New(rand.NewSource(42))}
	if err := s.probeUntilTold(); err != nil {
		return err
	}
	if err := s.sendAll(count); err != nil {
		return err
	}
	fmt.Println("sent")
	return p.Shutdown()
}

// probeUntilTold sends a few messages now and then, so that the suite can see when every consumer has its queues.
func (s *sending) probeUntilTold() error {
	told := make(chan struct{})
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		close(told)
	}()
	for {
		select {
		case <-told:
			return nil
		case <-time.After(200 * time.Millisecond):
		}
		for i := 0; i < 8; i++ {
			if err := s.sendOne(s.message()); err != nil {
				return err
			}
		}
	}
}

// sendAll mixes synchronous and asynchronous sends, and ends with one batch.
func (s *sending) sendAll(count int) error {
	const inFlightMax = 256
	batch := min(100, count)
	inFlight := make(chan struct{}, inFlightMax)
	failed := make(chan error, count)
	var wait sync.WaitGroup
	for i := 0; i < count-batch; i++ {
		if i%3 == 0 {
			if err := s.sendOne(s.message()); err != nil {
				return err
			}
			continue
		}
		inFlight <- struct{}{}
		wait.Add(1)
		m := s.message()
		err := s.p.SendAsync(context.Background(), func(_ context.Context, r *primitive.SendResult, err error) {
			if err == nil {
				err = s.written(m, r)
			}
			if err != nil {
				failed <- err
			}
			<-inFlight
			wait.Done()
		}, m)
		if err != nil {
			return err
		}
	}
	wait.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return s.sendBatch(batch)
	}
}

func (s *sending) sendOne(m *primitive.Message) error {
	r, err := s.p.SendSync(context.Background(), m)
	if err != nil {
		return err
	}
	return s.written(m, r)
}

func (s *sending) written(m *primitive.Message, r *primitive.SendResult) error {
	if r.Status != primitive.SendOK {
		return fmt.Errorf("not SEND_OK: %s", r)
	}
	s.out.write(m, line{ID: r.MsgID, OffsetID: r.OffsetMsgID, Queue: r.MessageQueue.QueueId, Offset: r.QueueOffset})
	return nil
}

func (s *sending) sendBatch(count int) error {
	var messages []*primitive.Message
	for i := 0; i < count; i++ {
		messages = append(messages, s.message())
	}
	r, err := s.p.SendSync(context.Background(), messages...)
	if err != nil {
		return err
	}
	offsetIDs := strings.Split(r.OffsetMsgID, ",") // this client leaves r.MsgID empty for a batch
	if r.Status != primitive.SendOK || len(offsetIDs) != count {
		return fmt.Errorf("a batch of %d was answered with %s", count, r)
	}
	for i, m := range messages {
		s.out.write(m, line{OffsetID: offsetIDs[i], Queue: r.MessageQueue.QueueId, Offset: r.QueueOffset + int64(i)})
	}
	return nil
}

// message makes every 50th body long and repetitive: over 4 KiB the client compresses it.
func (s *sending) message() *primitive.Message {
	i := s.number
	s.number++
	var body []byte
	if i%50 == 7 {
		body = []byte(strings.Repeat(fmt.Sprintf("long message %d; ", i), 300+s.random.Intn(700)))
	} else {
		body = make([]byte, 16+s.random.Intn(1000))
		s.random.Read(body)
	}
	m := primitive.NewMessage(s.topic, body)
	m.WithTag([]string{"alpha", "beta", "gamma", "delta"}[i%4])
	m.WithKeys([]string{fmt.Sprintf("key-%d", i), fmt.Sprintf("pair-%d", i/2)})
	m.WithProperty("shade", fmt.Sprintf("shade of %d", i%7))
	return m
}

// consume NAMESRV TOPIC GROUP INSTANCE TAGS MODE OUT, until standard input ends
func consume(args []string) error {
	mode := args[5]
	out, err := createLines(args[6])
	if err != nil {
		return err
	}
	c, err := rocketmq.NewPushConsumer(consumer.WithNameServer([]string{args[0]}), consumer.WithGroupName(args[2]),
		consumer.WithInstance(args[3]), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumerOrder(mode == "orderly"))
	if err != nil {
		return err
	}
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: args[4]}
	err = c.Subscribe(args[1], selector, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			out.write(&m.Message, line{ID: m.MsgId, OffsetID: m.OffsetMsgId, Queue: m.Queue.QueueId, Offset: m.QueueOffset,
				StoredAt: m.StoreTimestamp, Attempt: m.ReconsumeTimes})
		}
		if mode == "reject" && messages[0].ReconsumeTimes == 0 {
			return consumer.ConsumeRetryLater, nil
		}
		return consumer.ConsumeSuccess, nil
	})
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return c.Shutdown()
}
