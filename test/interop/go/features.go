package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// lab is what one feature works with: one broker, and names that nobody else uses.
type lab struct {
	nameServer, broker string
	names              int
}

// feature NAME NAMESRV BROKER: checks by itself, and fails with what was wrong.
func feature(args []string) error {
	features := map[string]func(*lab) error{
		"transactions": transactions, "delays": delays, "broadcasts": broadcasts, "sql": sql, "pulls": pulls, "retries": retries, "topics": topics, "one-way": oneWay,
	}
	run, ok := features[args[0]]
	if !ok {
		return fmt.Errorf("no such feature: %s", args[0])
	}
	return run(&lab{nameServer: args[1], broker: args[2]})
}

func (l *lab) fresh(kind string) string {
	l.names++
	return fmt.Sprintf("go-%s-%d-%d", kind, os.Getpid(), l.names)
}

func (l *lab) admin() (interface {
	CreateTopic(context.Context, ...admin.OptionCreate) error
	DeleteTopic(context.Context, ...admin.OptionDelete) error
	FetchAllTopicList(context.Context) (*admin.TopicList, error)
	FetchPublishMessageQueues(context.Context, string) ([]*primitive.MessageQueue, error)
}, error) {
	return admin.NewAdmin(admin.WithResolver(primitive.NewPassthroughResolver([]string{l.nameServer})))
}

func (l *lab) topic() (string, error) {
	name := l.fresh("topic")
	a, err := l.admin()
	if err != nil {
		return "", err
	}
	return name, a.CreateTopic(context.Background(), admin.WithTopicCreate(name), admin.WithBrokerAddrCreate(l.broker),
		admin.WithReadQueueNums(2), admin.WithWriteQueueNums(2))
}

func (l *lab) producer() (rocketmq.Producer, error) {
	p, err := rocketmq.NewProducer(producer.WithNameServer([]string{l.nameServer}), producer.WithGroupName(l.fresh("producer")),
		producer.WithInstanceName(l.fresh("instance")), producer.WithSendMsgTimeout(10*time.Second))
	if err != nil {
		return nil, err
	}
	return p, p.Start()
}

func sendBodies(p rocketmq.Producer, topic string, bodies ...string) error {
	for _, body := range bodies {
		if _, err := p.SendSync(context.Background(), primitive.NewMessage(topic, []byte(body))); err != nil {
			return err
		}
	}
	return nil
}

// inbox is what a consumer was given.
type inbox struct {
	mu     sync.Mutex
	bodies []string
	times  map[string]time.Time
}

func (i *inbox) add(body string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.bodies = append(i.bodies, body)
	i.times[body] = time.Now()
}

func (i *inbox) sorted() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	bodies := slices.Clone(i.bodies)
	slices.Sort(bodies)
	return bodies
}

// only waits for exactly these bodies, once each, and that nothing more comes for a while.
func (i *inbox) only(limit time.Duration, bodies ...string) error {
	slices.Sort(bodies)
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if len(i.sorted()) >= len(bodies) {
			break
		}
	}
	time.Sleep(1500 * time.Millisecond)
	if got := i.sorted(); !slices.Equal(got, bodies) {
		return fmt.Errorf("wanted %q, got %q", bodies, got)
	}
	return nil
}

func (l *lab) listen(topic string, selector consumer.MessageSelector, options ...consumer.Option) (*inbox, error) {
	options = append([]consumer.Option{consumer.WithNameServer([]string{l.nameServer}), consumer.WithGroupName(l.fresh("group")),
		consumer.WithInstance(l.fresh("instance")), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset)}, options...)
	c, err := rocketmq.NewPushConsumer(options...)
	if err != nil {
		return nil, err
	}
	in := &inbox{times: map[string]time.Time{}}
	err = c.Subscribe(topic, selector, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			in.add(string(m.Body))
		}
		return consumer.ConsumeSuccess, nil
	})
	if err != nil {
		return nil, err
	}
	return in, c.Start()
}

var everything = consumer.MessageSelector{Type: consumer.TAG, Expression: "*"}

// decider commits, rolls back, or lets itself be asked, as the body says.
type decider struct{}

func decide(word string) primitive.LocalTransactionState {
	switch word {
	case "commit":
		return primitive.CommitMessageState
	case "rollback":
		return primitive.RollbackMessageState
	}
	return primitive.UnknowState
}

func (decider) ExecuteLocalTransaction(m *primitive.Message) primitive.LocalTransactionState {
	return decide(strings.Split(string(m.Body), ",")[0])
}

func (decider) CheckLocalTransaction(m *primitive.MessageExt) primitive.LocalTransactionState {
	_, then, _ := strings.Cut(string(m.Body), ",")
	return decide(then)
}

func transactions(l *lab) error {
	topic, err := l.topic()
	if err != nil {
		return err
	}
	p, err := rocketmq.NewTransactionProducer(decider{}, producer.WithNameServer([]string{l.nameServer}),
		producer.WithGroupName(l.fresh("producer")), producer.WithInstanceName(l.fresh("instance")))
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	in, err := l.listen(topic, everything)
	if err != nil {
		return err
	}
	for _, body := range []string{"commit", "rollback", "unknown,commit", "unknown,rollback"} {
		if _, err := p.SendMessageInTransaction(context.Background(), primitive.NewMessage(topic, []byte(body))); err != nil {
			return err
		}
	}
	return in.only(90*time.Second, "commit", "unknown,commit")
}

func delays(l *lab) error {
	topic, err := l.topic()
	if err != nil {
		return err
	}
	p, err := l.producer()
	if err != nil {
		return err
	}
	in, err := l.listen(topic, everything)
	if err != nil {
		return err
	}
	start := time.Now()
	for level, body := range []string{"now", "one", "five"} {
		m := primitive.NewMessage(topic, []byte(body))
		m.WithDelayTimeLevel(level)
		if _, err := p.SendSync(context.Background(), m); err != nil {
			return err
		}
	}
	if err := in.only(30*time.Second, "now", "one", "five"); err != nil {
		return err
	}
	for body, wait := range map[string]time.Duration{"one": time.Second, "five": 5 * time.Second} {
		if late := in.times[body].Sub(start) - wait; late < -20*time.Millisecond || late > 8*time.Second {
			return fmt.Errorf("%s came %s after its time", body, late)
		}
	}
	return nil
}

func broadcasts(l *lab) error {
	topic, err := l.topic()
	if err != nil {
		return err
	}
	p, err := l.producer()
	if err != nil {
		return err
	}
	group := consumer.WithGroupName(l.fresh("group"))
	var inboxes []*inbox
	for range 2 {
		in, err := l.listen(topic, everything, group, consumer.WithConsumerModel(consumer.BroadCasting))
		if err != nil {
			return err
		}
		inboxes = append(inboxes, in)
	}
	time.Sleep(2 * time.Second)
	if err := sendBodies(p, topic, "a", "b", "c", "d"); err != nil {
		return err
	}
	for _, in := range inboxes {
		if err := in.only(30*time.Second, "a", "b", "c", "d"); err != nil {
			return err
		}
	}
	return nil
}

func sql(l *lab) error {
	topic, err := l.topic()
	if err != nil {
		return err
	}
	p, err := l.producer()
	if err != nil {
		return err
	}
	for i := range 10 {
		m := primitive.NewMessage(topic, fmt.Appendf(nil, "%d", i))
		m.WithProperty("number", fmt.Sprint(i))
		if _, err := p.SendSync(context.Background(), m); err != nil {
			return err
		}
	}
	in, err := l.listen(topic, consumer.MessageSelector{Type: consumer.SQL92, Expression: "number BETWEEN 3 AND 5 OR number = 9"})
	if err != nil {
		return err
	}
	return in.only(40*time.Second, "3", "4", "5", "9")
}

func pulls(l *lab) error {
	topic, err := l.topic()
	if err != nil {
		return err
	}
	p, err := l.producer()
	if err != nil {
		return err
	}
	if err := sendBodies(p, topic, "a", "b", "c", "d"); err != nil {
		return err
	}
	c, err := rocketmq.NewPullConsumer(consumer.WithNameServer([]string{l.nameServer}), consumer.WithGroupName(l.fresh("group")),
		consumer.WithInstance(l.fresh("instance")), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset))
	if err != nil {
		return err
	}
	if err := c.Subscribe(topic, everything); err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	in := &inbox{times: map[string]time.Time{}}
	for end := time.Now().Add(40 * time.Second); len(in.bodies) < 4 && time.Now().Before(end); {
		request, err := c.Poll(context.Background(), time.Second)
		if err != nil {
			continue // nothing new
		}
		for _, m := range request.GetMsgList() {
			in.add(string(m.Body))
		}
		c.ACK(context.Background(), request, consumer.ConsumeSuccess)
	}
	return in.only(0, "a", "b", "c", "d")
}

func retries(l *lab) error {
	topic, err := l.topic()
	if err != nil {
		return err
	}
	p, err := l.producer()
	if err != nil {
		return err
	}
	group := l.fresh("group")
	c, err := rocketmq.NewPushConsumer(consumer.WithNameServer([]string{l.nameServer}), consumer.WithGroupName(group),
		consumer.WithInstance(l.fresh("instance")), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithMaxReconsumeTimes(1))
	if err != nil {
		return err
	}
	in := &inbox{times: map[string]time.Time{}}
	err = c.Subscribe(topic, everything, func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, m := range messages {
			in.add(fmt.Sprintf("%s-%d", m.Body, m.ReconsumeTimes))
		}
		concurrent, _ := primitive.GetConcurrentlyCtx(ctx)
		concurrent.DelayLevelWhenNextConsume = 1
		return consumer.ConsumeRetryLater, nil
	})
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	if err := sendBodies(p, topic, "poison"); err != nil {
		return err
	}
	if err := in.only(60*time.Second, "poison-0", "poison-1"); err != nil {
		return err
	}
	dead, err := l.listen("%DLQ%"+group, everything)
	if err != nil {
		return err
	}
	return dead.only(40*time.Second, "poison")
}

func topics(l *lab) error {
	name, err := l.topic()
	if err != nil {
		return err
	}
	a, err := l.admin()
	if err != nil {
		return err
	}
	listed := func() bool {
		list, err := a.FetchAllTopicList(context.Background())
		return err == nil && slices.Contains(list.TopicList, name)
	}
	if !listed() {
		return fmt.Errorf("%s is not listed", name)
	}
	queues, err := a.FetchPublishMessageQueues(context.Background(), name)
	if err != nil || len(queues) != 2 {
		return fmt.Errorf("%d queues: %w", len(queues), err)
	}
	err = a.DeleteTopic(context.Background(), admin.WithTopicDelete(name), admin.WithBrokerAddrDelete(l.broker),
		admin.WithNameSrvAddr([]string{l.nameServer}))
	if err != nil {
		return err
	}
	for end := time.Now().Add(10 * time.Second); listed(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s is still listed", name)
		}
	}
	return nil
}

func oneWay(l *lab) error {
	topic, err := l.topic()
	if err != nil {
		return err
	}
	p, err := l.producer()
	if err != nil {
		return err
	}
	for _, body := range []string{"a", "b", "c"} {
		if err := p.SendOneWay(context.Background(), primitive.NewMessage(topic, []byte(body))); err != nil {
			return err
		}
	}
	in, err := l.listen(topic, everything)
	if err != nil {
		return err
	}
	return in.only(30*time.Second, "a", "b", "c")
}
