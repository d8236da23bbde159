import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageRequestMode;

/** Queues assigned by the broker, and messages popped instead of pulled. */
final class PopCases {
    static void register(Map<String, Driver.Check> cases) {
        cases.put("assigned-by-broker", PopCases::assignedByBroker);
        cases.put("pop", PopCases::pop);
        cases.put("pop-shared", PopCases::popShared);
        cases.put("pop-refused-comes-again", PopCases::refusedComesAgain);
        cases.put("pop-crashed-comes-again", PopCases::crashedComesAgain);
    }

    private static DefaultMQPushConsumer consumer(Lab lab, String group, String topic, MessageRequestMode mode) throws Exception {
        lab.admin().setMessageRequestMode(lab.broker, topic, group, mode, 8, 5_000);
        DefaultMQPushConsumer consumer = lab.consumer(group);
        consumer.setClientRebalance(false);
        consumer.subscribe(topic, "*");
        return consumer;
    }

    private static void assignedByBroker(Lab lab) throws Exception {
        String topic = lab.topic(4);
        String group = Lab.fresh("group");
        DefaultMQProducer producer = lab.producer();
        Inbox first = lab.listen(consumer(lab, group, topic, MessageRequestMode.PULL));
        Inbox second = lab.listen(consumer(lab, group, topic, MessageRequestMode.PULL));
        Lab.until(40, () -> "both got some: " + first.size() + ", " + second.size(), () -> {
            Lab.sendAll(producer, topic, 0, 7);
            return first.size() > 0 && second.size() > 0;
        });
        Lab.sendAll(producer, topic, 100, 139);
        Set<String> wanted = Lab.numbers(100, 139);
        Lab.until(30, () -> "the last 40", () -> {
            List<String> all = first.bodies();
            all.addAll(second.bodies());
            return all.containsAll(wanted);
        });
    }

    private static void pop(Lab lab) throws Exception {
        String topic = lab.topic(4);
        DefaultMQProducer producer = lab.producer();
        Lab.sendAll(producer, topic, 1, 40);
        Inbox inbox = lab.listen(consumer(lab, Lab.fresh("group"), topic, MessageRequestMode.POP));
        inbox.awaitExactly(Lab.numbers(1, 40), 40);
        Lab.sendAll(producer, topic, 41, 60);
        inbox.awaitExactly(Lab.numbers(1, 60), 40);
        Lab.equal(60, inbox.size(), "deliveries");
        MessageExt one = inbox.all().get(0);
        Lab.equal(topic, one.getTopic(), "topic");
        Lab.equal(0, one.getReconsumeTimes(), "attempt");
        Lab.check(one.getProperty("POP_CK") != null, "a receipt");
    }

    /** Unlike pulled queues, popped ones are shared: both work though there is one queue only. */
    private static void popShared(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("group");
        DefaultMQProducer producer = lab.producer();
        Inbox first = lab.listen(consumer(lab, group, topic, MessageRequestMode.POP));
        Inbox second = lab.listen(consumer(lab, group, topic, MessageRequestMode.POP));
        int[] next = {0};
        Lab.until(60, () -> "both got some of one queue: " + first.size() + ", " + second.size(), () -> {
            Lab.sendAll(producer, topic, next[0], next[0] + 9);
            next[0] += 10;
            return first.size() > 0 && second.size() > 0;
        });
        Set<String> wanted = Lab.numbers(0, next[0] - 1);
        Lab.until(30, () -> "all of " + next[0], () -> {
            List<String> all = first.bodies();
            all.addAll(second.bodies());
            return all.containsAll(wanted);
        });
    }

    /** A client that refuses changes the invisible time, 10 s for the first time; then the message comes again. */
    private static void refusedComesAgain(Lab lab) throws Exception {
        String topic = lab.topic(2);
        Lab.sendAll(lab.producer(), topic, 1, 4);
        DefaultMQPushConsumer consumer = consumer(lab, Lab.fresh("group"), topic, MessageRequestMode.POP);
        Inbox inbox = new Inbox();
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            inbox.add(messages);
            boolean isRefused = Lab.body(messages.get(0)).equals("2") && messages.get(0).getReconsumeTimes() == 0;
            return isRefused ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        inbox.awaitCount(5, 60);
        inbox.awaitExactly(Lab.numbers(1, 4), 1);
        MessageExt again = inbox.all().get(4);
        Lab.equal("2", Lab.body(again), "what came again");
        Lab.equal(topic, again.getTopic(), "its topic");
        Lab.equal(1, again.getReconsumeTimes(), "attempt");
    }

    /** What was popped and never acknowledged is visible again after its invisible time. */
    private static void crashedComesAgain(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("group");
        DefaultMQPushConsumer first = consumer(lab, group, topic, MessageRequestMode.POP);
        first.setPopInvisibleTime(10_000);
        first.setAwaitTerminationMillisWhenShutdown(0);
        Inbox stuck = new Inbox();
        first.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            stuck.add(messages);
            try {
                Thread.sleep(120_000);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        first.start();
        Lab.send(lab.producer(), Lab.message(topic, "held"));
        stuck.awaitCount(1, 30);
        first.shutdown();
        Inbox inbox = lab.listen(consumer(lab, group, topic, MessageRequestMode.POP));
        inbox.awaitExactly(Set.of("held"), 60);
    }
}
