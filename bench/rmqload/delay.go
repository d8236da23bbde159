package main

import (
	"fmt"
	"time"
)

// delayResult has two parts: how fast delayed messages are taken, and how fast they come when they
// are due. FiredPerSec counts from the first one seen to the last one.
type delayResult struct {
	setup
	sendResult
	meterResult
	Fired       int64       `json:"fired"`
	FireSeconds float64     `json:"fire_seconds"`
	FiredPerSec float64     `json:"fired_per_s"`
	LateMs      float64     `json:"last_late_ms,omitempty"` // behind the common due time; timers only
	Firing      meterResult `json:"firing"`
	FiringWall  float64     `json:"firing_wall_s"`
}

// cmdDelay sends --count messages that are all due at one time (--lead from now), or that have a
// delay --level, and then watches them arrive.
func cmdDelay(a *app) (any, error) {
	queues, err := a.ensureTopic(a.send.topic, a.queues)
	if err != nil {
		return nil, err
	}
	watch, err := newArrivals(a, queues)
	if err != nil {
		return nil, err
	}
	due := time.Now().Add(a.lead).Truncate(time.Second)
	if a.level > 0 {
		a.send.extra = fmt.Sprintf("DELAY\x01%d\x02", a.level)
	} else {
		a.send.extra = fmt.Sprintf("TIMER_DELIVER_MS\x01%d\x02", due.UnixMilli())
	}
	all, err := newSenders(a.send, &a.cluster, queues)
	if err != nil {
		return nil, err
	}
	all.begin()
	m := startMeter(a.pids)
	all.wait()
	r := delayResult{setup: a.setup(), sendResult: all.result(), meterResult: m.stop()}
	if err := all.failure(); err != nil {
		return r, err
	}
	if a.level == 0 {
		if time.Now().After(due) {
			return r, fmt.Errorf("sending took until the messages were due; give a longer --lead")
		}
		time.Sleep(time.Until(due) - 1500*time.Millisecond) // Apache's timers may come a second early
	}
	m = startMeter(a.pids)
	began := time.Now()
	err = watch.until(r.AckedTotal, a.timeout)
	r.Firing = m.stop()
	r.FiringWall = round3(time.Since(began).Seconds())
	r.Fired = watch.seen
	r.FireSeconds = round3(watch.last.Sub(watch.first).Seconds())
	if r.FireSeconds > 0 {
		r.FiredPerSec = round1(float64(r.Fired) / r.FireSeconds)
	}
	if a.level == 0 {
		r.LateMs = round3(float64(watch.last.Sub(due).Microseconds()) / 1000)
	}
	return r, err
}

// arrivals counts the messages of a topic by the ends of its queues.
type arrivals struct {
	conn        *conn
	topic       string
	queues      []queue
	before      int64
	seen        int64
	first, last time.Time
}

func newArrivals(a *app, queues []queue) (*arrivals, error) {
	c, err := dial(queues[0].addr, a.ser)
	if err != nil {
		return nil, err
	}
	w := &arrivals{conn: c, topic: a.send.topic, queues: queues}
	w.before, err = w.count()
	return w, err
}

func (w *arrivals) count() (int64, error) {
	var sum int64
	for _, q := range w.queues {
		end, err := w.conn.offset(codeGetMaxOffset, w.topic, q)
		if err != nil {
			return 0, err
		}
		sum += end
	}
	return sum, nil
}

func (w *arrivals) until(want int64, timeout time.Duration) error {
	end := time.Now().Add(timeout)
	for w.seen < want {
		n, err := w.count()
		if err != nil {
			return err
		}
		now := time.Now()
		if n -= w.before; n > w.seen {
			if w.seen == 0 {
				w.first = now
			}
			w.seen, w.last = n, now
		}
		if now.After(end) {
			return fmt.Errorf("%d of %d messages came within %s", w.seen, want, timeout)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}
