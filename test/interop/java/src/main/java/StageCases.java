import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;

/** What the admin tools look at: topics, messages and clients with the same names on every broker. */
final class StageCases {
    static final String TOPIC = "stage";
    static final String GROUP = "stage-group";

    private StageCases() {
    }

    /** Stays open until the driver ends: the clients have to be there while the tools look. Prints the ids. */
    static String stage(Lab lab) throws Exception {
        lab.topic(new TopicConfig(TOPIC, 4, 4, 6));
        lab.topic(new TopicConfig("stage-other", 2, 2, 6));
        DefaultMQProducer producer = lab.configured(new DefaultMQProducer("stage-producer"));
        producer.setInstanceName("stage-producer");
        producer.setClientIP("stage");
        lab.started(producer);
        SendResult first = null;
        for (int i = 0; i < 40; i++) {
            SendResult result = producer.send(Lab.tagged(TOPIC, "tag-" + i % 2, String.valueOf(i)),
                (queues, message, argument) -> queues.get((int) argument % queues.size()), i);
            first = first == null ? result : first;
        }
        DefaultMQPushConsumer consumer = lab.consumer(GROUP);
        consumer.setInstanceName("stage-consumer");
        consumer.setClientIP("stage");
        consumer.subscribe(TOPIC, "*");
        lab.listen(consumer).awaitCount(40, 30);
        DefaultMQPushConsumer gone = lab.consumer("stage-gone");
        gone.subscribe(TOPIC, "*");
        lab.listen(gone).awaitCount(40, 30);
        gone.shutdown();
        Lab.until(20, () -> "offsets are stored", () -> lab.admin().examineConsumeStats(GROUP, TOPIC).computeTotalDiff() == 0);
        return first.getMsgId() + " " + first.getOffsetMsgId();
    }
}
