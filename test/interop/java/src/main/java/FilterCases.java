import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** Tags and SQL92. */
final class FilterCases {
    static void register(Map<String, Driver.Check> cases) {
        cases.put("tags", FilterCases::tags);
        cases.put("sql", FilterCases::sql);
        cases.put("sql-refused", FilterCases::sqlRefused);
        cases.put("sql-lite-pull", FilterCases::sqlLitePull);
        cases.put("filter-changed", FilterCases::filterChanged);
    }

    /** "Aa" and "BB" have the same Java hash: the broker lets both pass, the client must not. */
    private static void tags(Lab lab) throws Exception {
        String topic = lab.topic(4);
        DefaultMQProducer producer = lab.producer();
        String[] tags = {"Aa", "BB", "alpha", "beta", "alpha beta"};
        for (int i = 0; i < 50; i++) {
            Lab.send(producer, Lab.tagged(topic, tags[i % 5], tags[i % 5] + i));
        }
        Inbox some = lab.listen(Lab.fresh("group"), topic, " Aa || alpha ");
        Inbox all = lab.listen(Lab.fresh("group"), topic, "*");
        all.awaitCount(50, 20);
        Set<String> wanted = new java.util.TreeSet<>();
        for (int i = 0; i < 50; i++) {
            if (i % 5 == 0 || i % 5 == 2) {
                wanted.add(tags[i % 5] + i);
            }
        }
        some.awaitOnly(wanted, 20);
    }

    private static void sendNumbered(DefaultMQProducer producer, String topic) throws Exception {
        for (int i = 0; i < 20; i++) {
            Message message = Lab.tagged(topic, i % 2 == 0 ? "even" : "odd", String.valueOf(i));
            message.putUserProperty("number", String.valueOf(i));
            message.putUserProperty("price", String.valueOf(i * 0.5));
            if (i % 4 == 0) {
                message.putUserProperty("colour", i % 8 == 0 ? "dark red" : "it's blue");
            }
            Lab.send(producer, message);
        }
    }

    private static void sql(Lab lab) throws Exception {
        String topic = lab.topic(4);
        sendNumbered(lab.producer(), topic);
        Map<String, Set<String>> expected = Map.of(
            "number BETWEEN 3 AND 6", Set.of("3", "4", "5", "6"),
            "colour IS NOT NULL AND price > 7.5", Set.of("16"),
            "colour IN ('it''s blue', 'green') OR number = 1", Set.of("1", "4", "12"),
            "TAGS = 'odd' AND NOT (number < 17)", Set.of("17", "19"),
            "colour STARTSWITH 'dark' AND colour CONTAINS 'k r'", Set.of("0", "8", "16"));
        Map<String, Inbox> inboxes = new java.util.HashMap<>();
        for (String expression : expected.keySet()) {
            DefaultMQPushConsumer consumer = lab.consumer(Lab.fresh("group"));
            consumer.subscribe(topic, MessageSelector.bySql(expression));
            inboxes.put(expression, lab.listen(consumer));
        }
        for (String expression : expected.keySet()) {
            inboxes.get(expression).awaitExactly(expected.get(expression), 30);
        }
        Thread.sleep(1_500);
        for (String expression : expected.keySet()) {
            inboxes.get(expression).awaitExactly(expected.get(expression), 1);
        }
    }

    private static void sqlRefused(Lab lab) throws Exception {
        String topic = lab.topic(1);
        for (String expression : List.of("number >", "number BETWEEN 5 AND 3", "a = 'open")) {
            DefaultMQPushConsumer consumer = lab.consumer(Lab.fresh("group"));
            consumer.subscribe(topic, MessageSelector.bySql(expression));
            int code = Lab.refused(() -> lab.listen(consumer));
            Lab.equal(23, code, "answer to " + expression);
        }
    }

    private static void sqlLitePull(Lab lab) throws Exception {
        String topic = lab.topic(2);
        sendNumbered(lab.producer(), topic);
        var consumer = lab.pull(Lab.fresh("group"));
        consumer.subscribe(topic, MessageSelector.bySql("number >= 15 AND TAGS = 'odd'"));
        consumer.start();
        Inbox inbox = new Inbox();
        Lab.until(30, () -> "15, 17, 19; got " + inbox.bodies(), () -> {
            inbox.add(consumer.poll(500));
            return inbox.size() >= 3;
        });
        inbox.add(consumer.poll(1_000));
        inbox.awaitExactly(Set.of("15", "17", "19"), 1);
    }

    /** A subscription that is changed while the consumer runs counts for what comes after. */
    private static void filterChanged(Lab lab) throws Exception {
        String topic = lab.topic(1);
        DefaultMQProducer producer = lab.producer();
        DefaultMQPushConsumer consumer = lab.consumer(Lab.fresh("group"));
        consumer.subscribe(topic, "first");
        Inbox inbox = lab.listen(consumer);
        Lab.send(producer, Lab.tagged(topic, "second", "a"));
        Lab.send(producer, Lab.tagged(topic, "first", "b"));
        inbox.awaitExactly(Set.of("b"), 20);
        consumer.subscribe(topic, "second");
        Thread.sleep(2_500); // a heartbeat tells the broker, a second apart here
        Lab.send(producer, Lab.tagged(topic, "first", "c"));
        Lab.send(producer, Lab.tagged(topic, "second", "d"));
        inbox.awaitOnly(Set.of("b", "d"), 30);
    }
}
