import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages that come again, and order that stays. */
final class RetryCases {
    static void register(Map<String, Driver.Check> cases) {
        cases.put("retry-then-dlq", RetryCases::retryThenDlq);
        cases.put("retry-succeeds", RetryCases::retrySucceeds);
        cases.put("dlq-at-once", RetryCases::dlqAtOnce);
        cases.put("orderly-suspend", RetryCases::orderlySuspend);
        cases.put("orderly-gives-up", RetryCases::orderlyGivesUp);
        cases.put("orderly-joins-and-leaves", RetryCases::orderlyJoinsAndLeaves);
        cases.put("leaving-loses-nothing", RetryCases::leavingLosesNothing);
    }

    private static Inbox dlq(Lab lab, String group) throws Exception {
        Inbox inbox = new Inbox();
        var reader = lab.pull(Lab.fresh("reader"));
        String topic = "%DLQ%" + group;
        reader.start();
        Lab.until(30, () -> topic + " has no message", () -> {
            var queues = reader.fetchMessageQueues(topic);
            reader.assign(queues);
            for (var queue : queues) {
                reader.seekToBegin(queue);
            }
            inbox.add(reader.poll(1_000));
            return inbox.size() > 0;
        });
        return inbox;
    }

    private static void retryThenDlq(Lab lab) throws Exception {
        String topic = lab.topic(2);
        String group = Lab.fresh("group");
        var sent = Lab.send(lab.producer(), Lab.tagged(topic, "tag", "poison"));
        DefaultMQPushConsumer consumer = lab.consumer(group);
        consumer.subscribe(topic, "*");
        consumer.setMaxReconsumeTimes(2);
        Inbox inbox = new Inbox();
        List<Long> times = new ArrayList<>();
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            inbox.add(messages);
            times.add(System.currentTimeMillis());
            context.setDelayLevelWhenNextConsume(1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        inbox.awaitCount(3, 40);
        MessageExt dead = dlq(lab, group).all().get(0);
        Lab.equal(3, inbox.size(), "deliveries before the dead-letter queue");
        for (int i = 0; i < 3; i++) {
            MessageExt one = inbox.all().get(i);
            Lab.equal(i, one.getReconsumeTimes(), "attempt");
            Lab.equal(topic, one.getTopic(), "topic of attempt " + i);
            Lab.equal(sent.getMsgId(), one.getMsgId(), "id of attempt " + i);
            Lab.equal("tag", one.getTags(), "tag of attempt " + i);
            if (i > 0) {
                Lab.check(times.get(i) - times.get(i - 1) >= 950, "attempt " + i + " came after " + (times.get(i) - times.get(i - 1)) + " ms");
            }
        }
        Lab.equal("poison", Lab.body(dead), "dead letter");
        Lab.equal("%DLQ%" + group, dead.getTopic(), "its topic");
        Lab.equal(topic, dead.getProperty("RETRY_TOPIC"), "RETRY_TOPIC");
        Lab.check(dead.getProperty("ORIGIN_MESSAGE_ID") != null, "ORIGIN_MESSAGE_ID");
        Lab.equal(sent.getMsgId(), dead.getMsgId(), "its id");
    }

    private static void retrySucceeds(Lab lab) throws Exception {
        String topic = lab.topic(2);
        Lab.sendAll(lab.producer(), topic, 1, 10);
        DefaultMQPushConsumer consumer = lab.consumer(Lab.fresh("group"));
        consumer.subscribe(topic, "*");
        Inbox inbox = new Inbox();
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            inbox.add(messages);
            context.setDelayLevelWhenNextConsume(1);
            boolean isOdd = Integer.parseInt(Lab.body(messages.get(0))) % 2 == 1;
            return isOdd && messages.get(0).getReconsumeTimes() == 0
                ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        inbox.awaitCount(15, 40);
        Thread.sleep(2_000);
        Lab.equal(15, inbox.size(), "deliveries");
        inbox.awaitExactly(Lab.numbers(1, 10), 1);
    }

    private static void dlqAtOnce(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("group");
        Lab.send(lab.producer(), Lab.message(topic, "hopeless"));
        DefaultMQPushConsumer consumer = lab.consumer(group);
        consumer.subscribe(topic, "*");
        Inbox inbox = new Inbox();
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            inbox.add(messages);
            context.setDelayLevelWhenNextConsume(-1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        inbox.awaitCount(1, 20);
        Lab.equal("hopeless", dlq(lab, group).bodies().get(0), "dead letter");
        Lab.equal(1, inbox.size(), "deliveries");
    }

    private static void orderlySuspend(Lab lab) throws Exception {
        String topic = lab.topic(1);
        Lab.sendAll(lab.producer(), topic, 1, 6);
        DefaultMQPushConsumer consumer = lab.consumer(Lab.fresh("group"));
        consumer.subscribe(topic, "*");
        consumer.setSuspendCurrentQueueTimeMillis(300);
        Inbox inbox = new Inbox();
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            inbox.add(messages);
            boolean isThird = Lab.body(messages.get(0)).equals("3");
            return isThird && messages.get(0).getReconsumeTimes() < 2
                ? ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT : ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        inbox.awaitCount(8, 30);
        Lab.equal(List.of("1", "2", "3", "3", "3", "4", "5", "6"), inbox.bodies(), "order");
    }

    private static void orderlyGivesUp(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("group");
        Lab.sendAll(lab.producer(), topic, 1, 3);
        DefaultMQPushConsumer consumer = lab.consumer(group);
        consumer.subscribe(topic, "*");
        consumer.setSuspendCurrentQueueTimeMillis(100);
        consumer.setMaxReconsumeTimes(1);
        Inbox inbox = new Inbox();
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            inbox.add(messages);
            return Lab.body(messages.get(0)).equals("2")
                ? ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT : ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        Lab.until(30, () -> "3 after 2; got " + inbox.bodies(), () -> inbox.bodies().contains("3"));
        Lab.equal(List.of("1", "2", "2", "3"), inbox.bodies(), "order");
        Lab.equal("2", dlq(lab, group).bodies().get(0), "dead letter");
    }

    /** Each queue keeps its order, and no two instances work on one at the same time, while instances come and go. */
    private static void orderlyJoinsAndLeaves(Lab lab) throws Exception {
        String topic = lab.topic(4);
        String group = Lab.fresh("group");
        DefaultMQProducer producer = lab.producer();
        Map<Integer, AtomicBoolean> busy = new ConcurrentHashMap<>();
        List<String> wrong = java.util.Collections.synchronizedList(new ArrayList<>());
        Inbox inbox = new Inbox();
        MessageListenerOrderly listener = (messages, context) -> {
            AtomicBoolean queue = busy.computeIfAbsent(context.getMessageQueue().getQueueId(), id -> new AtomicBoolean());
            if (!queue.compareAndSet(false, true)) {
                wrong.add("two at once in queue " + context.getMessageQueue().getQueueId());
            }
            try {
                Thread.sleep(5);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            inbox.add(messages);
            queue.set(false);
            return ConsumeOrderlyStatus.SUCCESS;
        };
        List<DefaultMQPushConsumer> consumers = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            DefaultMQPushConsumer consumer = lab.consumer(group);
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener(listener);
            consumer.start();
            consumers.add(consumer);
            Lab.sendAll(producer, topic, 200 * i, 200 * i + 199);
        }
        consumers.get(0).shutdown();
        Lab.sendAll(producer, topic, 400, 499);
        inbox.awaitExactly(Lab.numbers(0, 499), 60);
        Lab.equal(List.of(), wrong, "overlaps");
        Map<Integer, Long> last = new java.util.HashMap<>();
        for (MessageExt message : inbox.all()) {
            Long before = last.get(message.getQueueId());
            // What was not yet committed may come again from where the new owner starts, but nothing may be skipped.
            Lab.check(before == null || message.getQueueOffset() <= before + 1,
                "queue " + message.getQueueId() + " jumped from " + before + " to " + message.getQueueOffset());
            last.put(message.getQueueId(), message.getQueueOffset());
        }
    }

    private static void leavingLosesNothing(Lab lab) throws Exception {
        String topic = lab.topic(4);
        String group = Lab.fresh("group");
        DefaultMQProducer producer = lab.producer();
        DefaultMQPushConsumer first = lab.consumer(group);
        first.subscribe(topic, "*");
        Inbox atFirst = lab.listen(first);
        Inbox atSecond = lab.listen(group, topic, "*");
        Lab.until(40, () -> "both got some: " + atFirst.size() + ", " + atSecond.size(), () -> {
            Lab.sendAll(producer, topic, 0, 7);
            return atFirst.size() > 0 && atSecond.size() > 0;
        });
        first.shutdown();
        Lab.sendAll(producer, topic, 1_000, 1_039);
        Set<String> wanted = Lab.numbers(1_000, 1_039);
        Lab.until(40, () -> "the last 40 at the one that stayed", () -> atSecond.bodies().containsAll(wanted));
    }
}
