import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Consumers that ask, and where consumers begin. */
final class PullCases {
    static void register(Map<String, Driver.Check> cases) {
        cases.put("lite-pull-subscribe", PullCases::subscribe);
        cases.put("lite-pull-assign-and-seek", PullCases::assignAndSeek);
        cases.put("lite-pull-commits", PullCases::commits);
        cases.put("old-pull-consumer", PullCases::oldPullConsumer);
        cases.put("from-where", PullCases::fromWhere);
        cases.put("from-where-with-offset", PullCases::fromWhereWithOffset);
        cases.put("offsets-by-time", PullCases::offsetsByTime);
    }

    private static Inbox poll(DefaultLitePullConsumer consumer, int count) throws Exception {
        Inbox inbox = new Inbox();
        Lab.until(30, () -> count + " messages; got " + inbox.bodies(), () -> {
            inbox.add(consumer.poll(300));
            return inbox.size() >= count;
        });
        return inbox;
    }

    private static void subscribe(Lab lab) throws Exception {
        String topic = lab.topic(4);
        DefaultMQProducer producer = lab.producer();
        for (int i = 0; i < 20; i++) {
            Lab.send(producer, Lab.tagged(topic, i % 2 == 0 ? "even" : "odd", String.valueOf(i)));
        }
        DefaultLitePullConsumer consumer = lab.pull(Lab.fresh("group"));
        consumer.subscribe(topic, "even");
        consumer.start();
        Inbox inbox = poll(consumer, 10);
        inbox.add(consumer.poll(1_000));
        for (String body : inbox.bodies()) {
            Lab.equal(0, Integer.parseInt(body) % 2, "remainder of " + body);
        }
        Lab.equal(4, consumer.assignment().size(), "queues");
    }

    private static void assignAndSeek(Lab lab) throws Exception {
        String topic = lab.topic(1);
        Lab.sendAll(lab.producer(), topic, 0, 19);
        DefaultLitePullConsumer consumer = lab.pull(Lab.fresh("group"));
        consumer.setAutoCommit(false);
        consumer.start();
        Collection<MessageQueue> queues = consumer.fetchMessageQueues(topic);
        MessageQueue queue = queues.iterator().next();
        consumer.assign(queues);
        Lab.equal("0", poll(consumer, 20).bodies().get(0), "at the beginning");
        consumer.seek(queue, 12);
        List<String> rest = poll(consumer, 8).bodies();
        Lab.equal(List.of("12", "13", "14", "15", "16", "17", "18", "19"), rest, "from 12");
        consumer.seekToEnd(queue);
        Lab.equal(0, consumer.poll(1_000).size(), "messages at the end");
        Lab.sendAll(lab.producer(), topic, 20, 20);
        Lab.equal("20", poll(consumer, 1).bodies().get(0), "after the end");
    }

    private static void commits(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("group");
        Lab.sendAll(lab.producer(), topic, 0, 9);
        DefaultLitePullConsumer first = lab.pull(group);
        first.setAutoCommit(false);
        first.start();
        Collection<MessageQueue> queues = first.fetchMessageQueues(topic);
        MessageQueue queue = queues.iterator().next();
        first.assign(queues);
        first.seekToBegin(queue);
        poll(first, 10);
        first.commit(Map.of(queue, 6L), true);
        Lab.until(20, () -> "6 committed", () -> first.committed(queue) == 6);
        first.shutdown();
        DefaultLitePullConsumer second = lab.pull(group);
        second.setAutoCommit(false);
        second.start();
        second.assign(queues);
        Lab.equal("6", poll(second, 1).bodies().get(0), "where the group goes on");
    }

    @SuppressWarnings("deprecation")
    private static void oldPullConsumer(Lab lab) throws Exception {
        String topic = lab.topic(1);
        DefaultMQProducer producer = lab.producer();
        Lab.sendAll(producer, topic, 0, 9);
        var consumer = lab.configured(new org.apache.rocketmq.client.consumer.DefaultMQPullConsumer(Lab.fresh("group")));
        consumer.start();
        try {
            MessageQueue queue = consumer.fetchSubscribeMessageQueues(topic).iterator().next();
            Inbox inbox = new Inbox();
            var found = consumer.pull(queue, "*", 3, 4);
            inbox.add(found.getMsgFoundList());
            Lab.equal(List.of("3", "4", "5", "6"), inbox.bodies(), "pulled");
            Lab.equal(7L, found.getNextBeginOffset(), "next offset");
            Lab.equal("NO_NEW_MSG", consumer.pull(queue, "*", 10, 4).getPullStatus().name(), "status at the end");
            Lab.equal("OFFSET_ILLEGAL", consumer.pull(queue, "*", 99, 4).getPullStatus().name(), "status behind the end");
            Lab.equal("NO_MATCHED_MSG", consumer.pull(queue, "nothing", 0, 4).getPullStatus().name(), "status without a match");
            consumer.updateConsumeOffset(queue, 5);
            consumer.getOffsetStore().persist(queue);
            Thread.sleep(500);
            Lab.equal(5L, consumer.fetchConsumeOffset(queue, true), "committed");
            Thread later = new Thread(() -> {
                try {
                    Thread.sleep(1_000);
                    Lab.sendAll(producer, topic, 10, 10);
                } catch (Exception e) {
                    e.printStackTrace();
                }
            });
            later.start();
            Lab.equal("FOUND", consumer.pullBlockIfNotFound(queue, "*", 10, 4).getPullStatus().name(), "a pull that waits");
            later.join();
        } finally {
            consumer.shutdown();
        }
    }

    /** On a topic that still has its first message, a new group gets everything, wherever it asks to begin. */
    private static void fromWhere(Lab lab) throws Exception {
        String topic = lab.topic(2);
        DefaultMQProducer producer = lab.producer();
        Lab.sendAll(producer, topic, 1, 10);
        List<Inbox> inboxes = new ArrayList<>();
        for (ConsumeFromWhere where : List.of(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET,
            ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET, ConsumeFromWhere.CONSUME_FROM_TIMESTAMP)) {
            DefaultMQPushConsumer consumer = lab.consumer(Lab.fresh("group"));
            consumer.setConsumeFromWhere(where);
            consumer.setConsumeTimestamp(UtilAll.timeMillisToHumanString3(System.currentTimeMillis() - 3_600_000));
            consumer.subscribe(topic, "*");
            inboxes.add(lab.listen(consumer));
        }
        Lab.sendAll(producer, topic, 11, 15);
        for (Inbox inbox : inboxes) {
            inbox.awaitExactly(Lab.numbers(1, 15), 30);
        }
    }

    /** A group that has an offset goes on there. */
    private static void fromWhereWithOffset(Lab lab) throws Exception {
        String topic = lab.topic(1);
        Lab.sendAll(lab.producer(), topic, 0, 9);
        MessageQueue queue = lab.queues(topic).get(0);
        for (ConsumeFromWhere where : List.of(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET, ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET)) {
            String group = Lab.fresh("group");
            lab.admin().createAndUpdateSubscriptionGroupConfig(lab.broker, OperationCases.group(group));
            lab.admin().updateConsumeOffset(lab.broker, group, queue, 7);
            DefaultMQPushConsumer consumer = lab.consumer(group);
            consumer.setConsumeFromWhere(where);
            consumer.subscribe(topic, "*");
            lab.listen(consumer).awaitOnly(Set.of("7", "8", "9"), 20);
        }
    }

    private static void offsetsByTime(Lab lab) throws Exception {
        String topic = lab.topic(1);
        DefaultMQProducer producer = lab.producer();
        for (int i = 0; i < 6; i++) {
            Lab.sendAll(producer, topic, i, i);
            Thread.sleep(60);
        }
        MessageQueue queue = lab.queues(topic).get(0);
        List<MessageExt> stored = waited(lab.listen(Lab.fresh("group"), topic, "*"));
        long third = stored.get(3).getStoreTimestamp();
        long last = stored.get(5).getStoreTimestamp();
        var admin = lab.admin();
        Lab.equal(3L, admin.searchOffset(queue, third), "at the time of 3");
        Lab.equal(3L, admin.searchLowerBoundaryOffset(queue, third), "lower bound of 3");
        Lab.equal(3L, admin.searchUpperBoundaryOffset(queue, third), "upper bound of 3");
        Lab.equal(3L, admin.searchLowerBoundaryOffset(queue, third - 10), "lower bound before 3");
        Lab.equal(2L, admin.searchUpperBoundaryOffset(queue, third - 10), "upper bound before 3");
        Lab.equal(0L, admin.searchOffset(queue, 0), "at the beginning of time");
        Lab.equal(6L, admin.searchOffset(queue, last + 60_000), "after the last");
        Lab.equal(stored.get(0).getStoreTimestamp(), admin.earliestMsgStoreTime(queue), "time of the earliest");
        Lab.equal(0L, admin.minOffset(queue), "first offset");
        Lab.equal(6L, admin.maxOffset(queue), "next offset");
    }

    private static List<MessageExt> waited(Inbox inbox) throws Exception {
        inbox.awaitCount(6, 20);
        List<MessageExt> messages = inbox.all();
        messages.sort(Comparator.comparing(MessageExt::getQueueOffset));
        return messages;
    }
}
