import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.RequestTimeoutException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.compression.CompressionType;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** Ways to send and to receive. */
final class MessagingCases {
    static void register(Map<String, Driver.Check> cases) {
        cases.put("broadcast", MessagingCases::broadcast);
        cases.put("request-reply", MessagingCases::requestReply);
        cases.put("batch", MessagingCases::batch);
        cases.put("auto-batch", MessagingCases::autoBatch);
        cases.put("one-way", MessagingCases::oneWay);
        cases.put("chosen-queue", MessagingCases::chosenQueue);
        cases.put("compressed", MessagingCases::compressed);
        cases.put("any-text", MessagingCases::anyText);
        cases.put("namespace", MessagingCases::namespace);
        cases.put("heartbeat-v2", MessagingCases::heartbeatV2);
        cases.put("trace", MessagingCases::trace);
        cases.put("too-large", MessagingCases::tooLarge);
    }

    private static void broadcast(Lab lab) throws Exception {
        String topic = lab.topic(2);
        String group = Lab.fresh("group");
        List<Inbox> inboxes = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            DefaultMQPushConsumer consumer = lab.consumer(group);
            consumer.setMessageModel(MessageModel.BROADCASTING);
            consumer.subscribe(topic, "*");
            inboxes.add(lab.listen(consumer));
        }
        Lab.sendAll(lab.producer(), topic, 1, 20);
        for (Inbox inbox : inboxes) {
            inbox.awaitExactly(Lab.numbers(1, 20), 30);
        }
    }

    private static void requestReply(Lab lab) throws Exception {
        String topic = lab.topic(2);
        DefaultMQProducer replier = lab.producer();
        DefaultMQPushConsumer consumer = lab.consumer(Lab.fresh("group"));
        consumer.subscribe(topic, "*");
        List<Throwable> failed = java.util.Collections.synchronizedList(new ArrayList<>());
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            try {
                String body = Lab.body(messages.get(0));
                if (!body.equals("ignored")) {
                    replier.send(MessageUtil.createReplyMessage(messages.get(0), ("re: " + body).getBytes()));
                }
            } catch (Exception e) {
                failed.add(e);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        DefaultMQProducer producer = lab.producer();
        Lab.send(producer, Lab.message(topic, "ignored")); // so that its heartbeat, and so its replies, use this broker
        for (int i = 0; i < 3; i++) {
            Message reply = producer.request(Lab.message(topic, "question " + i), 20_000);
            Lab.equal("re: question " + i, new String(reply.getBody()), "reply");
        }
        try {
            producer.request(Lab.message(topic, "ignored"), 1_000);
            throw new AssertionError("got a reply that nobody sent");
        } catch (RequestTimeoutException e) {
            // as it should be
        }
        Lab.equal(List.of(), failed, "failures of the replier");
    }

    private static void batch(Lab lab) throws Exception {
        String topic = lab.topic(2);
        DefaultMQProducer producer = lab.producer();
        List<Message> messages = new ArrayList<>();
        for (int i = 1; i <= 50; i++) {
            messages.add(Lab.tagged(topic, "tag-" + i % 2, String.valueOf(i)));
        }
        SendResult result = producer.send(messages);
        Lab.equal(SendStatus.SEND_OK, result.getSendStatus(), "status");
        String[] ids = result.getMsgId().split(",");
        Lab.equal(50, result.getOffsetMsgId().split(",").length, "offset ids");
        Inbox inbox = lab.listen(Lab.fresh("group"), topic, "tag-1");
        inbox.awaitOnly(new TreeSet<>(Lab.numbers(1, 50).stream().filter(n -> Integer.parseInt(n) % 2 == 1).collect(Collectors.toList())), 20);
        for (MessageExt message : inbox.all()) {
            Lab.equal(ids[Integer.parseInt(Lab.body(message)) - 1], message.getMsgId(), "id of " + Lab.body(message));
        }
        String other = lab.topic(1);
        Lab.check(Lab.refused(() -> producer.send(List.of(Lab.message(topic, "a"), Lab.message(other, "b")))) != 0,
            "two topics in one batch");
    }

    private static void autoBatch(Lab lab) throws Exception {
        String topic = lab.topic(2);
        DefaultMQProducer producer = lab.configured(new DefaultMQProducer(Lab.fresh("producer")));
        producer.setAutoBatch(true);
        lab.started(producer);
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            int first = i * 10;
            Thread thread = new Thread(() -> {
                try {
                    Lab.sendAll(producer, topic, first, first + 9);
                } catch (Exception e) {
                    e.printStackTrace();
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        Inbox inbox = lab.listen(Lab.fresh("group"), topic, "*");
        inbox.awaitExactly(Lab.numbers(0, 79), 30);
        Lab.equal(80, inbox.size(), "deliveries");
    }

    private static void oneWay(Lab lab) throws Exception {
        String topic = lab.topic(2);
        DefaultMQProducer producer = lab.producer();
        for (int i = 1; i <= 20; i++) {
            producer.sendOneway(Lab.message(topic, String.valueOf(i)));
        }
        lab.listen(Lab.fresh("group"), topic, "*").awaitOnly(Lab.numbers(1, 20), 20);
    }

    private static void chosenQueue(Lab lab) throws Exception {
        String topic = lab.topic(4);
        DefaultMQProducer producer = lab.producer();
        for (int i = 0; i < 20; i++) {
            producer.send(Lab.message(topic, String.valueOf(i)), (queues, message, argument) -> queues.get((int) argument % queues.size()), i);
        }
        Inbox inbox = lab.listen(Lab.fresh("group"), topic, "*");
        inbox.awaitExactly(Lab.numbers(0, 19), 20);
        for (MessageExt message : inbox.all()) {
            Lab.equal(Integer.parseInt(Lab.body(message)) % 4, message.getQueueId(), "queue of " + Lab.body(message));
        }
    }

    private static void compressed(Lab lab) throws Exception {
        String topic = lab.topic(2);
        Inbox inbox = lab.listen(Lab.fresh("group"), topic, "*");
        Map<String, byte[]> bodies = new java.util.HashMap<>();
        for (CompressionType type : CompressionType.values()) {
            DefaultMQProducer producer = lab.configured(new DefaultMQProducer(Lab.fresh("producer")));
            producer.setCompressType(type);
            lab.started(producer);
            byte[] body = new byte[100_000];
            Random random = new Random(type.ordinal());
            for (int i = 0; i < body.length; i++) {
                body[i] = (byte) ('a' + random.nextInt(4));
            }
            bodies.put(type.name(), body.clone());
            Lab.send(producer, new Message(topic, type.name(), body));
        }
        inbox.awaitCount(bodies.size(), 30);
        for (MessageExt message : inbox.all()) {
            Lab.check(Arrays.equals(bodies.get(message.getTags()), message.getBody()), "body of " + message.getTags());
            Lab.check(message.getStoreSize() < 90_000, message.getTags() + " is stored compressed: " + message.getStoreSize());
        }
    }

    private static void anyText(Lab lab) throws Exception {
        String topic = lab.topic(1);
        Message message = new Message(topic, "Tag-é中", "ключ 🔑", "тело 🌊 \u0000\u0001".getBytes(StandardCharsets.UTF_8));
        message.putUserProperty("свойство", "значение \"quoted\" \\ 'and' so on 🙂");
        message.setFlag(-123_456);
        message.setWaitStoreMsgOK(false);
        byte[] body = message.getBody().clone();
        Lab.send(lab.producer(), message);
        Inbox inbox = lab.listen(Lab.fresh("group"), topic, "Tag-é中");
        inbox.awaitCount(1, 20);
        MessageExt got = inbox.all().get(0);
        Lab.check(Arrays.equals(body, got.getBody()), "body");
        Lab.equal("Tag-é中", got.getTags(), "tag");
        Lab.equal("ключ 🔑", got.getKeys(), "keys");
        Lab.equal(message.getUserProperty("свойство"), got.getUserProperty("свойство"), "property");
        Lab.equal(-123_456, got.getFlag(), "flag");
        Lab.equal(1, lab.admin().queryMessage(topic, "🔑", 10, 0, Long.MAX_VALUE).getMessageList().size(), "found by key");
    }

    private static void namespace(Lab lab) throws Exception {
        String space = Lab.fresh("space");
        String plain = Lab.fresh("topic");
        lab.topic(new org.apache.rocketmq.common.TopicConfig(space + "%" + plain, 2, 2, 6));
        DefaultMQProducer producer = lab.configured(new DefaultMQProducer(Lab.fresh("producer")));
        producer.setNamespaceV2(space);
        lab.started(producer);
        Lab.sendAll(producer, plain, 1, 5);
        DefaultMQPushConsumer consumer = lab.consumer(Lab.fresh("group"));
        consumer.setNamespaceV2(space);
        consumer.subscribe(plain, "*");
        lab.listen(consumer).awaitExactly(Lab.numbers(1, 5), 20);
    }

    private static void heartbeatV2(Lab lab) throws Exception {
        String topic = lab.topic(2);
        DefaultMQPushConsumer consumer = lab.consumer(Lab.fresh("group"));
        consumer.setUseHeartbeatV2(true);
        consumer.subscribe(topic, "first");
        Inbox inbox = lab.listen(consumer);
        DefaultMQProducer producer = lab.producer();
        Lab.send(producer, Lab.tagged(topic, "first", "a"));
        inbox.awaitExactly(Set.of("a"), 20);
        Thread.sleep(2_500); // heartbeats without subscriptions now
        Lab.send(producer, Lab.tagged(topic, "first", "b"));
        Lab.send(producer, Lab.tagged(topic, "second", "c"));
        inbox.awaitOnly(Set.of("a", "b"), 20);
    }

    private static void trace(Lab lab) throws Exception {
        String topic = lab.topic(1);
        DefaultMQProducer producer = lab.configured(new DefaultMQProducer(Lab.fresh("producer"), true, null));
        lab.started(producer);
        String id = Lab.send(producer, Lab.tagged(topic, "tag", "traced")).getMsgId();
        DefaultMQPushConsumer consumer = lab.configured(new DefaultMQPushConsumer(Lab.fresh("group"), true, null));
        consumer.setConsumeFromWhere(org.apache.rocketmq.common.consumer.ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "*");
        lab.listen(consumer).awaitCount(1, 20);
        try {
            Set<String> types = new TreeSet<>();
            Lab.until(60, () -> "Pub, SubBefore, SubAfter; got " + types, () -> {
                List<MessageExt> found = lab.admin()
                    .queryMessage("RMQ_SYS_TRACE_TOPIC", id, 64, 0, System.currentTimeMillis() + 60_000).getMessageList();
                for (MessageExt message : found) {
                    for (TraceContext context : TraceDataEncoder.decoderFromTraceDataString(Lab.body(message))) {
                        if (context.getTraceBeans().get(0).getMsgId().equals(id)) {
                            types.add(context.getTraceType().name());
                        }
                    }
                }
                return types.equals(Set.of("Pub", "SubBefore", "SubAfter"));
            });
        } finally {
            consumer.shutdown();
        }
    }

    private static void tooLarge(Lab lab) throws Exception {
        String topic = lab.topic(1);
        DefaultMQProducer producer = lab.configured(new DefaultMQProducer(Lab.fresh("producer")));
        producer.setMaxMessageSize(16 * 1024 * 1024);
        producer.setCompressMsgBodyOverHowmuch(64 * 1024 * 1024);
        lab.started(producer);
        Lab.send(producer, new Message(topic, new byte[4 * 1024 * 1024 - 64 * 1024]));
        Lab.equal(13, Lab.refused(() -> producer.send(new Message(topic, new byte[4 * 1024 * 1024 + 1]))), "answer");
        Lab.send(producer, new Message(topic, new byte[1]));
    }
}
