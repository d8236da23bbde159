import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.admin.ConsumeStats;
import org.apache.rocketmq.remoting.protocol.admin.OffsetWrapper;
import org.apache.rocketmq.remoting.protocol.admin.TopicStatsTable;
import org.apache.rocketmq.remoting.protocol.body.ConsumeMessageDirectlyResult;
import org.apache.rocketmq.remoting.protocol.body.ConsumerConnection;
import org.apache.rocketmq.remoting.protocol.body.ConsumerRunningInfo;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;

/** What operators do with topics, groups and offsets, by DefaultMQAdminExt. */
final class OperationCases {
    static void register(Map<String, Driver.Check> cases) {
        cases.put("query", OperationCases::query);
        cases.put("reset-offset-online", OperationCases::resetOnline);
        cases.put("reset-offset-offline", OperationCases::resetOffline);
        cases.put("clone-offset", OperationCases::cloneOffset);
        cases.put("consume-directly", OperationCases::consumeDirectly);
        cases.put("running-info", OperationCases::runningInfo);
        cases.put("progress", OperationCases::progress);
        cases.put("connections", OperationCases::connections);
        cases.put("consume-status", OperationCases::consumeStatus);
        cases.put("group-disabled", OperationCases::groupDisabled);
        cases.put("read-forbidden", OperationCases::readForbidden);
        cases.put("topic-permission", OperationCases::topicPermission);
        cases.put("topic-config", OperationCases::topicConfig);
        cases.put("topic-stats", OperationCases::topicStats);
        cases.put("delete-group", OperationCases::deleteGroup);
        cases.put("time-span", OperationCases::timeSpan);
        cases.put("message-track", OperationCases::messageTrack);
    }

    static SubscriptionGroupConfig group(String name) {
        SubscriptionGroupConfig config = new SubscriptionGroupConfig();
        config.setGroupName(name);
        return config;
    }

    private static void query(Lab lab) throws Exception {
        String topic = lab.topic(4);
        DefaultMQProducer producer = lab.producer();
        long before = System.currentTimeMillis();
        List<SendResult> sent = Lab.sendAll(producer, topic, 1, 20);
        var admin = lab.admin();
        long end = System.currentTimeMillis() + 60_000;
        Lab.until(20, () -> "key-20 in the index", () -> admin.queryMessage(topic, "key-20", 10, 0, end).getMessageList().size() == 1);
        Lab.equal("7", Lab.body(admin.queryMessage(topic, "key-7", 10, before - 1_000, end).getMessageList().get(0)), "by key");
        Lab.check(Lab.refused(() -> admin.queryMessage(topic, "key-7", 10, 0, before - 60_000)) != 0, "a time without messages");
        Lab.check(Lab.refused(() -> admin.queryMessage(topic, "no such key", 10, 0, end)) != 0, "an unknown key");
        SendResult seventh = sent.get(6);
        MessageExt byUnique = admin.viewMessage(topic, seventh.getMsgId());
        MessageExt byOffset = admin.viewMessage(topic, seventh.getOffsetMsgId());
        for (MessageExt one : List.of(byUnique, byOffset)) {
            Lab.equal("7", Lab.body(one), "body");
            Lab.equal(seventh.getQueueOffset(), one.getQueueOffset(), "offset");
            Lab.equal(seventh.getMsgId(), one.getMsgId(), "id");
            Lab.equal(topic, one.getTopic(), "topic");
        }
    }

    private static void resetOnline(Lab lab) throws Exception {
        String topic = lab.topic(2);
        String group = Lab.fresh("group");
        DefaultMQProducer producer = lab.producer();
        Lab.sendAll(producer, topic, 1, 10);
        Thread.sleep(300);
        long middle = System.currentTimeMillis();
        Thread.sleep(300);
        Lab.sendAll(producer, topic, 11, 20);
        Inbox inbox = lab.listen(group, topic, "*");
        inbox.awaitExactly(Lab.numbers(1, 20), 20);
        Thread.sleep(6_000); // offsets are stored every 5 s
        Map<MessageQueue, Long> offsets = lab.admin().resetOffsetByTimestamp(topic, group, middle, true);
        Lab.equal(2, offsets.size(), "queues that were reset");
        Lab.equal(10L, offsets.values().stream().mapToLong(Long::longValue).sum(), "sum of the offsets");
        Lab.until(60, () -> "11 to 20 a second time: " + inbox.bodies(), () -> inbox.size() >= 30);
        Lab.equal(Lab.numbers(11, 20), new TreeSet<>(inbox.bodies().subList(20, 30)), "what came again");
    }

    private static void resetOffline(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("group");
        DefaultMQProducer producer = lab.producer();
        Lab.sendAll(producer, topic, 0, 9);
        DefaultMQPushConsumer consumer = lab.consumer(group);
        consumer.subscribe(topic, "*");
        lab.listen(consumer).awaitExactly(Lab.numbers(0, 9), 20);
        consumer.shutdown();
        MessageQueue queue = lab.queues(topic).get(0);
        Lab.until(20, () -> "10 committed", () -> consumed(lab, group, topic, queue).getConsumerOffset() == 10);
        lab.admin().resetOffsetByQueueId(lab.broker, group, topic, 0, 4);
        Lab.equal(4L, consumed(lab, group, topic, queue).getConsumerOffset(), "offset after the reset");
        lab.listen(group, topic, "*").awaitOnly(Lab.numbers(4, 9), 30);
    }

    private static OffsetWrapper consumed(Lab lab, String group, String topic, MessageQueue queue) throws Exception {
        return lab.admin().examineConsumeStats(group, topic).getOffsetTable().get(queue);
    }

    private static void cloneOffset(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String source = Lab.fresh("group");
        String target = Lab.fresh("group");
        Lab.sendAll(lab.producer(), topic, 0, 9);
        MessageQueue queue = lab.queues(topic).get(0);
        for (String group : List.of(source, target)) {
            DefaultMQPushConsumer consumer = lab.consumer(group);
            consumer.subscribe(topic, "*");
            lab.listen(consumer).awaitCount(10, 20);
            consumer.shutdown();
            Lab.until(20, () -> "10 committed", () -> consumed(lab, group, topic, queue).getConsumerOffset() == 10);
        }
        lab.admin().updateConsumeOffset(lab.broker, source, queue, 6);
        lab.admin().cloneGroupOffset(source, target, topic, true);
        Lab.equal(6L, consumed(lab, target, topic, queue).getConsumerOffset(), "offset of the clone");
        lab.listen(target, topic, "*").awaitOnly(Lab.numbers(6, 9), 20);
    }

    private static void consumeDirectly(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("group");
        SendResult sent = Lab.send(lab.producer(), Lab.message(topic, "again"));
        DefaultMQPushConsumer consumer = lab.consumer(group);
        consumer.subscribe(topic, "*");
        Inbox inbox = new Inbox();
        boolean[] refuse = {false};
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            inbox.add(messages);
            return refuse[0] ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        inbox.awaitCount(1, 20);
        String client = lab.admin().examineConsumerConnectionInfo(group).getConnectionSet().iterator().next().getClientId();
        for (String id : List.of(sent.getMsgId(), sent.getOffsetMsgId())) {
            ConsumeMessageDirectlyResult result = lab.admin().consumeMessageDirectly(group, client, topic, id);
            Lab.equal("CR_SUCCESS", result.getConsumeResult().name(), "result by " + id);
        }
        refuse[0] = true;
        Lab.equal("CR_LATER", lab.admin().consumeMessageDirectly(group, client, topic, sent.getMsgId()).getConsumeResult().name(), "refused");
        inbox.awaitExactly(Set.of("again"), 5);
        Lab.equal(4, inbox.size(), "deliveries");
        Lab.check(Lab.refused(() -> lab.admin().consumeMessageDirectly(group, "nobody", topic, sent.getMsgId())) != 0, "a client that is not there");
    }

    private static void runningInfo(Lab lab) throws Exception {
        String topic = lab.topic(2);
        String group = Lab.fresh("group");
        Lab.send(lab.producer(), Lab.message(topic, "a"));
        lab.listen(group, topic, "one || two || *").size();
        Inbox other = lab.listen(Lab.fresh("group"), topic, "*");
        other.awaitCount(1, 20);
        String client = lab.admin().examineConsumerConnectionInfo(group).getConnectionSet().iterator().next().getClientId();
        ConsumerRunningInfo info = lab.admin().getConsumerRunningInfo(group, client, true);
        Set<String> topics = new TreeSet<>();
        info.getSubscriptionSet().forEach(subscription -> topics.add(subscription.getTopic()));
        Lab.equal(Set.of("%RETRY%" + group, topic), topics, "subscriptions");
        Lab.equal(2L, info.getMqTable().keySet().stream().filter(queue -> queue.getTopic().equals(topic)).count(), "queues");
        Lab.check(info.getJstack().contains("STATE: "), "stacks of the client");
        Lab.check(info.getProperties().containsKey("PROP_CLIENT_VERSION"), "properties of the client");
    }

    private static void progress(Lab lab) throws Exception {
        String topic = lab.topic(2);
        String group = Lab.fresh("group");
        DefaultMQProducer producer = lab.producer();
        Lab.sendAll(producer, topic, 1, 10);
        DefaultMQPushConsumer consumer = lab.consumer(group);
        consumer.subscribe(topic, "*");
        lab.listen(consumer).awaitCount(10, 20);
        consumer.shutdown();
        Lab.sendAll(producer, topic, 11, 17);
        Lab.until(20, () -> "a lag of 7", () -> lab.admin().examineConsumeStats(group).computeTotalDiff() == 7);
        ConsumeStats stats = lab.admin().examineConsumeStats(group, topic);
        Lab.equal(2, stats.getOffsetTable().size(), "queues");
        for (OffsetWrapper offset : stats.getOffsetTable().values()) {
            Lab.check(offset.getLastTimestamp() > 0, "time of the last consumed message");
        }
        Lab.check(lab.admin().queryTopicConsumeByWho(topic).getGroupList().contains(group), "group of the topic");
        Lab.check(lab.admin().queryTopicsByConsumer(group).getTopicList().contains(topic), "topic of the group");
        Lab.equal(206, Lab.refused(() -> lab.admin().examineConsumerConnectionInfo(group)), "connections of a group that left");
    }

    private static void connections(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("group");
        String producerGroup = Lab.fresh("producer");
        DefaultMQProducer producer = lab.started(lab.configured(new DefaultMQProducer(producerGroup)));
        Lab.send(producer, Lab.message(topic, "a"));
        lab.listen(group, topic, "x || y").size();
        ConsumerConnection connection = lab.admin().examineConsumerConnectionInfo(group);
        Lab.equal(1, connection.getConnectionSet().size(), "consumers");
        Lab.equal("CONSUME_PASSIVELY", connection.getConsumeType().name(), "type");
        Lab.equal("CLUSTERING", connection.getMessageModel().name(), "model");
        Lab.equal("CONSUME_FROM_FIRST_OFFSET", connection.getConsumeFromWhere().name(), "begin");
        Lab.equal("x || y", connection.getSubscriptionTable().get(topic).getSubString(), "expression");
        Lab.equal("JAVA", connection.getConnectionSet().iterator().next().getLanguage().name(), "language");
        Lab.equal("x || y", lab.admin().querySubscription(group, topic).getSubString(), "subscription");
        Lab.until(20, () -> "the producer", () -> lab.admin().examineProducerConnectionInfo(producerGroup, topic).getConnectionSet().size() == 1);
        Lab.check(lab.admin().getAllProducerInfo(lab.broker).getData().containsKey(producerGroup), "group in the producer table");
    }

    private static void consumeStatus(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("group");
        Lab.sendAll(lab.producer(), topic, 1, 3);
        lab.listen(group, topic, "*").awaitCount(3, 20);
        Lab.until(20, () -> "3 in the status of the client", () -> {
            var status = lab.admin().getConsumeStatus(topic, group, "");
            return status.values().stream().anyMatch(queues -> queues.values().contains(3L));
        });
    }

    private static void groupDisabled(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("group");
        SubscriptionGroupConfig config = group(group);
        config.setConsumeEnable(false);
        lab.admin().createAndUpdateSubscriptionGroupConfig(lab.broker, config);
        Lab.sendAll(lab.producer(), topic, 1, 3);
        Inbox inbox = lab.listen(group, topic, "*");
        Thread.sleep(3_000);
        Lab.equal(0, inbox.size(), "deliveries to a disabled group");
        config.setConsumeEnable(true);
        lab.admin().createAndUpdateSubscriptionGroupConfig(lab.broker, config);
        inbox.awaitExactly(Lab.numbers(1, 3), 30);
        Lab.equal(true, lab.admin().examineSubscriptionGroupConfig(lab.broker, group).isConsumeEnable(), "enabled");
    }

    private static void readForbidden(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("group");
        lab.admin().createAndUpdateSubscriptionGroupConfig(lab.broker, group(group));
        Lab.equal(false, lab.admin().updateAndGetGroupReadForbidden(lab.broker, group, topic, false).getReadable(), "readable");
        Lab.sendAll(lab.producer(), topic, 1, 3);
        Inbox inbox = lab.listen(group, topic, "*");
        Thread.sleep(3_000);
        Lab.equal(0, inbox.size(), "deliveries");
        Lab.equal(true, lab.admin().updateAndGetGroupReadForbidden(lab.broker, group, topic, true).getReadable(), "readable again");
        inbox.awaitExactly(Lab.numbers(1, 3), 30);
    }

    private static void topicPermission(Lab lab) throws Exception {
        TopicConfig config = new TopicConfig(Lab.fresh("topic"), 2, 2, 4);
        lab.topic(config);
        DefaultMQProducer producer = lab.producer();
        Lab.check(Lab.refused(() -> producer.send(Lab.message(config.getTopicName(), "a"))) != 0, "a send without permission");
        config.setPerm(6);
        lab.topic(config);
        Lab.until(20, () -> "a send with permission", () -> Lab.send(producer, Lab.message(config.getTopicName(), "b")) != null);
        lab.listen(Lab.fresh("group"), config.getTopicName(), "*").awaitOnly(Set.of("b"), 20);
    }

    private static void topicConfig(Lab lab) throws Exception {
        TopicConfig config = new TopicConfig(Lab.fresh("topic"), 3, 2, 6);
        config.setAttributes(Map.of("+message.type", "FIFO"));
        config.setOrder(true);
        lab.topic(config);
        TopicConfig read = lab.admin().examineTopicConfig(lab.broker, config.getTopicName());
        Lab.equal(3, read.getReadQueueNums(), "read queues");
        Lab.equal(2, read.getWriteQueueNums(), "write queues");
        Lab.equal("FIFO", read.getTopicMessageType().name(), "message type");
        Lab.equal(true, read.isOrder(), "order");
        Lab.check(lab.admin().fetchAllTopicList().getTopicList().contains(config.getTopicName()), "listed");
        Lab.check(lab.admin().getTopicClusterList(config.getTopicName()).size() == 1, "in one cluster");
        TopicConfig bad = new TopicConfig(Lab.fresh("topic"), 1, 1, 6);
        bad.setAttributes(Map.of("+no.such.attribute", "1"));
        Lab.equal(1, Lab.refused(() -> {
            lab.admin().createAndUpdateTopicConfig(lab.broker, bad);
            return "created";
        }), "an unknown attribute");
        for (String name : List.of("bad name!", "TBW102", "SCHEDULE_TOPIC_XXXX")) {
            Lab.equal(29, Lab.refused(() -> {
                lab.admin().createAndUpdateTopicConfig(lab.broker, new TopicConfig(name, 1, 1, 6));
                return "created";
            }), "topic " + name);
        }
        Lab.check(lab.admin().getUserTopicConfig(lab.broker, false, 5_000).getTopicConfigTable().containsKey(config.getTopicName()), "in the table");
    }

    private static void topicStats(Lab lab) throws Exception {
        String topic = lab.topic(4);
        Lab.sendAll(lab.producer(), topic, 1, 10);
        TopicStatsTable stats = lab.admin().examineTopicStats(topic);
        Lab.equal(4, stats.getOffsetTable().size(), "queues");
        Lab.until(10, () -> "10 messages", () -> lab.admin().examineTopicStats(topic).getOffsetTable().values().stream()
            .mapToLong(offset -> offset.getMaxOffset() - offset.getMinOffset()).sum() == 10);
        Lab.equal(4, lab.admin().examineTopicStats(lab.broker, topic).getOffsetTable().size(), "queues at one broker");
    }

    private static void deleteGroup(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("group");
        Lab.sendAll(lab.producer(), topic, 1, 3);
        DefaultMQPushConsumer consumer = lab.consumer(group);
        consumer.subscribe(topic, "*");
        lab.listen(consumer).awaitCount(3, 20);
        consumer.shutdown();
        MessageQueue queue = lab.queues(topic).get(0);
        Lab.until(20, () -> "3 committed", () -> consumed(lab, group, topic, queue).getConsumerOffset() == 3);
        lab.admin().deleteSubscriptionGroup(lab.broker, group, true);
        Lab.check(!lab.admin().getUserSubscriptionGroup(lab.broker, 5_000).getSubscriptionGroupTable().containsKey(group), "group is gone");
        lab.listen(group, topic, "*").awaitExactly(Lab.numbers(1, 3), 20);
    }

    private static void timeSpan(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("group");
        Lab.sendAll(lab.producer(), topic, 1, 3);
        DefaultMQPushConsumer consumer = lab.consumer(group);
        consumer.subscribe(topic, "*");
        lab.listen(consumer).awaitCount(3, 20);
        consumer.shutdown();
        Lab.until(20, () -> "a time span", () -> {
            var spans = lab.admin().queryConsumeTimeSpan(topic, group);
            return spans.size() == 1 && spans.get(0).getMinTimeStamp() > 0 && spans.get(0).getMaxTimeStamp() >= spans.get(0).getMinTimeStamp();
        });
    }

    private static void messageTrack(Lab lab) throws Exception {
        String topic = lab.topic(1);
        List<String> groups = new ArrayList<>();
        DefaultMQProducer producer = lab.producer();
        SendResult sent = Lab.send(producer, Lab.tagged(topic, "a", "tracked"));
        for (String tags : List.of("*", "b")) {
            groups.add(Lab.fresh("group"));
            lab.listen(groups.get(groups.size() - 1), topic, tags).size();
        }
        Lab.until(30, () -> "CONSUMED and CONSUMED_BUT_FILTERED", () -> {
            MessageExt message = lab.admin().viewMessage(topic, sent.getMsgId());
            Map<String, String> types = new java.util.TreeMap<>();
            lab.admin().messageTrackDetail(message).forEach(track -> types.put(track.getConsumerGroup(), track.getTrackType().name()));
            return types.equals(Map.of(groups.get(0), "CONSUMED", groups.get(1), "CONSUMED_BUT_FILTERED"));
        });
    }
}
