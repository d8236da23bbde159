import java.util.Map;
import java.util.Set;

import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/** Messages for later. */
final class TimeCases {
    static void register(Map<String, Driver.Check> cases) {
        cases.put("delay-levels", TimeCases::delayLevels);
        cases.put("timer", TimeCases::timer);
        cases.put("timer-in-the-past", TimeCases::inThePast);
        cases.put("timer-too-far", TimeCases::tooFar);
        cases.put("recall", TimeCases::recall);
        cases.put("recall-refused", TimeCases::recallRefused);
    }

    /** Both clocks are the same machine's; the client's listener takes a moment of its own. */
    private static void inTime(Inbox inbox, String body, long dueMs) {
        long late = inbox.timeOf(body) - dueMs;
        Lab.check(late >= -20, body + " came " + -late + " ms early");
        Lab.check(late < 5_000, body + " came " + late + " ms late");
    }

    private static void delayLevels(Lab lab) throws Exception {
        String topic = lab.topic(2);
        Inbox inbox = lab.listen(Lab.fresh("group"), topic, "*");
        DefaultMQProducer producer = lab.producer();
        Lab.send(producer, Lab.message(topic, "now"));
        inbox.awaitCount(1, 20);
        long start = System.currentTimeMillis();
        int[] seconds = {0, 1, 5, 10};
        for (int level = 1; level <= 3; level++) {
            Message message = Lab.tagged(topic, "tag", "level-" + level);
            message.setDelayTimeLevel(level);
            Lab.send(producer, message);
        }
        inbox.awaitExactly(Set.of("now", "level-1", "level-2", "level-3"), 30);
        for (int level = 1; level <= 3; level++) {
            inTime(inbox, "level-" + level, start + seconds[level] * 1_000);
        }
        var late = inbox.all().get(1);
        Lab.equal(topic, late.getTopic(), "topic");
        Lab.equal("tag", late.getTags(), "tag");
    }

    private static void timer(Lab lab) throws Exception {
        String topic = lab.topic(2);
        Inbox inbox = lab.listen(Lab.fresh("group"), topic, "*");
        DefaultMQProducer producer = lab.producer();
        Lab.send(producer, Lab.message(topic, "now"));
        inbox.awaitCount(1, 20);
        long start = System.currentTimeMillis();
        Message byDelay = Lab.message(topic, "delayTimeMs");
        byDelay.setDelayTimeMs(2_500);
        Message bySeconds = Lab.message(topic, "delayTimeSec");
        bySeconds.setDelayTimeSec(3);
        Message byTime = Lab.message(topic, "deliverTimeMs");
        byTime.setDeliverTimeMs(start + 4_321);
        for (Message message : new Message[] {byDelay, bySeconds, byTime}) {
            Lab.send(producer, message);
        }
        inbox.awaitExactly(Set.of("now", "delayTimeMs", "delayTimeSec", "deliverTimeMs"), 30);
        inTime(inbox, "delayTimeMs", start + 2_500);
        inTime(inbox, "delayTimeSec", start + 3_000);
        inTime(inbox, "deliverTimeMs", start + 4_321);
    }

    private static void inThePast(Lab lab) throws Exception {
        String topic = lab.topic(1);
        Inbox inbox = lab.listen(Lab.fresh("group"), topic, "*");
        Message message = Lab.message(topic, "past");
        message.setDeliverTimeMs(System.currentTimeMillis() - 60_000);
        Lab.send(lab.producer(), message);
        inbox.awaitExactly(Set.of("past"), 20);
    }

    private static void tooFar(Lab lab) throws Exception {
        String topic = lab.topic(1);
        DefaultMQProducer producer = lab.producer();
        Message message = Lab.message(topic, "far");
        message.setDelayTimeSec(500L * 24 * 3_600);
        Lab.equal(13, Lab.refused(() -> producer.send(message)), "answer");
    }

    private static void recall(Lab lab) throws Exception {
        String topic = lab.topic(1);
        Inbox inbox = lab.listen(Lab.fresh("group"), topic, "*");
        DefaultMQProducer producer = lab.producer();
        SendResult[] results = new SendResult[2];
        for (int i = 0; i < 2; i++) {
            Message message = Lab.message(topic, "timer-" + i);
            message.setDelayTimeMs(6_000);
            results[i] = Lab.send(producer, message);
        }
        Lab.check(results[0].getRecallHandle() != null, "a recall handle");
        String id = producer.recallMessage(topic, results[0].getRecallHandle());
        Lab.equal(results[0].getMsgId(), id, "id of the recalled message");
        inbox.awaitOnly(Set.of("timer-1"), 30);
    }

    private static void recallRefused(Lab lab) throws Exception {
        String topic = lab.topic(1);
        DefaultMQProducer producer = lab.producer();
        Lab.send(producer, Lab.message(topic, "a"));
        int code = Lab.refused(() -> producer.recallMessage(topic, "not a handle"));
        Lab.check(code != 0, "answer " + code);
    }
}
