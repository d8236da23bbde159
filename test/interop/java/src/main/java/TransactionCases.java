import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Half messages. The bodies say what the producer decides: first answer, then the answer when it is asked. */
final class TransactionCases {
    static void register(Map<String, Driver.Check> cases) {
        cases.put("transaction-outcomes", TransactionCases::outcomes);
        cases.put("transaction-invisible", TransactionCases::invisibleUntilCommit);
        cases.put("transaction-check-by-another", TransactionCases::checkByAnother);
    }

    private static final class Decider implements TransactionListener {
        final Map<String, AtomicInteger> checks = new ConcurrentHashMap<>();

        @Override
        public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
            return decide(new String(message.getBody()).split(",")[0]);
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt message) {
            String body = Lab.body(message);
            int check = checks.computeIfAbsent(body, key -> new AtomicInteger()).incrementAndGet();
            String[] answers = body.split(",");
            return decide(answers[Math.min(check, answers.length - 1)]);
        }

        private static LocalTransactionState decide(String word) {
            switch (word) {
                case "commit": return LocalTransactionState.COMMIT_MESSAGE;
                case "rollback": return LocalTransactionState.ROLLBACK_MESSAGE;
                default: return LocalTransactionState.UNKNOW;
            }
        }
    }

    private static TransactionMQProducer producer(Lab lab, String group, TransactionListener listener) throws Exception {
        TransactionMQProducer producer = lab.configured(new TransactionMQProducer(group));
        producer.setTransactionListener(listener);
        return lab.started(producer);
    }

    private static void outcomes(Lab lab) throws Exception {
        String topic = lab.topic(2);
        Decider decider = new Decider();
        TransactionMQProducer producer = producer(lab, Lab.fresh("producer"), decider);
        Inbox inbox = lab.listen(Lab.fresh("group"), topic, "*");
        for (String body : List.of("commit", "rollback", "unknown,commit", "unknown,rollback", "unknown,unknown,commit")) {
            TransactionSendResult result = producer.sendMessageInTransaction(Lab.tagged(topic, "tag", body), null);
            Lab.check(result.getTransactionId() != null, "a transaction id");
        }
        inbox.awaitExactly(Set.of("commit"), 20);
        inbox.awaitCount(3, 90);
        Lab.until(60, () -> "a check of unknown,rollback", () -> decider.checks.containsKey("unknown,rollback"));
        inbox.awaitOnly(Set.of("commit", "unknown,commit", "unknown,unknown,commit"), 10);
        MessageExt checked = inbox.all().get(1);
        Lab.equal("tag", checked.getTags(), "tag");
        Lab.equal(topic, checked.getTopic(), "topic");
    }

    private static void invisibleUntilCommit(Lab lab) throws Exception {
        String topic = lab.topic(1);
        CountDownLatch decided = new CountDownLatch(1);
        TransactionMQProducer producer = producer(lab, Lab.fresh("producer"), new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                try {
                    decided.await(20, TimeUnit.SECONDS);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
                return LocalTransactionState.COMMIT_MESSAGE;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                return LocalTransactionState.UNKNOW;
            }
        });
        Inbox inbox = lab.listen(Lab.fresh("group"), topic, "*");
        Lab.send(lab.producer(), Lab.message(topic, "plain"));
        inbox.awaitExactly(Set.of("plain"), 20);
        Thread sender = new Thread(() -> {
            try {
                producer.sendMessageInTransaction(Lab.message(topic, "half"), null);
            } catch (Exception e) {
                e.printStackTrace();
            }
        });
        sender.start();
        Thread.sleep(2_000);
        Lab.equal(List.of("plain"), inbox.bodies(), "before the commit");
        decided.countDown();
        inbox.awaitExactly(Set.of("plain", "half"), 20);
        sender.join();
    }

    /** When the producer that sent it is gone, another one of its group is asked. */
    private static void checkByAnother(Lab lab) throws Exception {
        String topic = lab.topic(1);
        String group = Lab.fresh("producer");
        Decider decider = new Decider();
        TransactionMQProducer first = producer(lab, group, decider);
        first.sendMessageInTransaction(Lab.message(topic, "unknown,commit"), null);
        first.shutdown();
        TransactionMQProducer second = producer(lab, group, decider);
        Lab.send(second, Lab.message(topic, "plain")); // so that its heartbeat goes to this broker
        lab.listen(Lab.fresh("group"), topic, "*").awaitExactly(Set.of("plain", "unknown,commit"), 90);
    }
}
