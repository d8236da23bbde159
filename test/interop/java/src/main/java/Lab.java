import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;

import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What one case works with: fresh names, official clients of one broker, and waiting. Closes what it handed out. */
final class Lab implements AutoCloseable {
    private static final AtomicInteger NUMBER = new AtomicInteger();
    private static final long PID = ProcessHandle.current().pid();

    final String nameServer;
    final String broker;
    private final RPCHook hook;
    private final boolean isTls;
    private final Deque<AutoCloseable> open = new ArrayDeque<>();
    private DefaultMQAdminExt admin;

    Lab(String nameServer, String broker) {
        this(nameServer, broker, null, false);
    }

    Lab(String nameServer, String broker, RPCHook hook, boolean isTls) {
        this.nameServer = nameServer;
        this.broker = broker;
        this.hook = hook;
        this.isTls = isTls;
    }

    /** A name that no other case uses. */
    static String fresh(String kind) {
        return kind + "-" + PID + "-" + NUMBER.incrementAndGet();
    }

    /** The same broker with other credentials, or over TLS; closed with this one. */
    Lab as(RPCHook other, boolean tls) {
        return closing(new Lab(nameServer, broker, other, tls));
    }

    private synchronized <T extends AutoCloseable> T closing(T one) {
        open.push(one);
        return one;
    }

    /** Official clients look for changes every 20 or 30 s; a case cannot wait that long. */
    <T extends ClientConfig> T configured(T client) {
        client.setNamesrvAddr(nameServer);
        client.setInstanceName(fresh("instance"));
        client.setPollNameServerInterval(1_000);
        client.setHeartbeatBrokerInterval(1_000);
        client.setUseTLS(isTls);
        return client;
    }

    synchronized DefaultMQAdminExt admin() throws MQClientException {
        if (admin == null) {
            DefaultMQAdminExt started = configured(new DefaultMQAdminExt(hook, 15_000));
            started.start();
            closing(started::shutdown);
            admin = started;
        }
        return admin;
    }

    String topic(int queues) throws Exception {
        return topic(new TopicConfig(fresh("topic"), queues, queues, 6));
    }

    String topic(TopicConfig config) throws Exception {
        admin().createAndUpdateTopicConfig(broker, config);
        until(15, () -> "the route of " + config.getTopicName(), () ->
            !admin().examineTopicRouteInfo(config.getTopicName()).getQueueDatas().isEmpty());
        return config.getTopicName();
    }

    DefaultMQProducer producer() throws MQClientException {
        DefaultMQProducer producer = configured(new DefaultMQProducer(fresh("producer"), hook));
        return started(producer);
    }

    <T extends DefaultMQProducer> T started(T producer) throws MQClientException {
        producer.setSendMsgTimeout(10_000);
        producer.start();
        closing(producer::shutdown);
        return producer;
    }

    /** Not started: the case subscribes and sets what it is about. Starts at the first message. */
    DefaultMQPushConsumer consumer(String group) {
        DefaultMQPushConsumer consumer = configured(new DefaultMQPushConsumer(group, hook));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(4);
        consumer.setConsumeThreadMax(4);
        consumer.setAwaitTerminationMillisWhenShutdown(2_000);
        closing(consumer::shutdown);
        return consumer;
    }

    DefaultLitePullConsumer pull(String group) {
        DefaultLitePullConsumer consumer = configured(new DefaultLitePullConsumer(group, hook));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPullThreadNums(4);
        closing(consumer::shutdown);
        return consumer;
    }

    /** A started consumer that accepts everything. */
    Inbox listen(String group, String topic, String tags) throws MQClientException {
        DefaultMQPushConsumer consumer = consumer(group);
        consumer.subscribe(topic, tags);
        return listen(consumer);
    }

    Inbox listen(DefaultMQPushConsumer consumer) throws MQClientException {
        Inbox inbox = new Inbox();
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            inbox.add(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return inbox;
    }

    static Message message(String topic, String body) {
        return new Message(topic, "", "key-" + body, body.getBytes(StandardCharsets.UTF_8));
    }

    static Message tagged(String topic, String tag, String body) {
        Message message = message(topic, body);
        message.setTags(tag);
        return message;
    }

    static SendResult send(DefaultMQProducer producer, Message message) throws Exception {
        SendResult result = producer.send(message);
        equal(SendStatus.SEND_OK, result.getSendStatus(), "status of a send");
        return result;
    }

    /** Sends bodies FIRST … LAST, one after the other. */
    static List<SendResult> sendAll(DefaultMQProducer producer, String topic, int first, int last) throws Exception {
        List<SendResult> results = new ArrayList<>();
        for (int i = first; i <= last; i++) {
            results.add(send(producer, message(topic, String.valueOf(i))));
        }
        return results;
    }

    static String body(MessageExt message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }

    List<MessageQueue> queues(String topic) throws Exception {
        DefaultMQProducer producer = producer();
        return producer.fetchPublishMessageQueues(topic);
    }

    static void until(int seconds, Supplier<String> what, Callable<Boolean> holds) throws Exception {
        long deadline = System.nanoTime() + seconds * 1_000_000_000L;
        Exception last = null;
        while (true) {
            try {
                if (holds.call()) {
                    return;
                }
                last = null;
            } catch (MQClientException | MQBrokerException e) {
                last = e;
            }
            if (System.nanoTime() > deadline) {
                throw new AssertionError("not within " + seconds + " s: " + what.get(), last);
            }
            Thread.sleep(50);
        }
    }

    static void equal(Object expected, Object actual, String what) {
        if (!expected.equals(actual)) {
            throw new AssertionError(what + ": expected " + expected + ", got " + actual);
        }
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    /** Runs what has to be refused; the response code it is refused with (-1: by the client itself). */
    static int refused(Callable<?> action) throws Exception {
        try {
            Object result = action.call();
            throw new AssertionError("not refused: " + result);
        } catch (MQBrokerException e) {
            return e.getResponseCode();
        } catch (MQClientException e) {
            for (Throwable cause = e.getCause(); cause != null; cause = cause.getCause()) {
                if (cause instanceof MQBrokerException) {
                    return ((MQBrokerException) cause).getResponseCode();
                }
            }
            return e.getResponseCode();
        }
    }

    static Set<String> numbers(int first, int last) {
        Set<String> numbers = new java.util.TreeSet<>();
        for (int i = first; i <= last; i++) {
            numbers.add(String.valueOf(i));
        }
        return numbers;
    }

    @Override
    public void close() {
        while (!open.isEmpty()) {
            try {
                open.pop().close();
            } catch (Exception e) {
                System.err.println("closing: " + e);
            }
        }
    }
}
